// A button that hands a file to Python in parts: Jupyter drops the connection, without a word, at a
// message of more than 10 MiB. A file that is too large is refused here, before it is sent.
const PART = 1 << 20;

function render({ model, el }) {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = model.get("accept");
  input.className = "statkit-upload";
  input.setAttribute("aria-label", "Choose a video");
  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (!file) return;
    const about = { name: file.name, size: file.size };
    if (file.size > model.get("limit")) model.send({ ...about, last: true });
    for (let at = 0; file.size <= model.get("limit") && at <= file.size; at += PART) {
      const part = await file.slice(at, at + PART).arrayBuffer();
      model.send({ ...about, at, last: at + PART > file.size }, undefined, [part]);
    }
    input.value = "";
  });
  el.append(input);
}

export default { render };
