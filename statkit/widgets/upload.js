// Two doors for a video: a file, and three seconds from the camera. Both hand it to Python in parts:
// Jupyter drops the connection, without a word, at a message of more than 10 MiB. A file that is too
// large is refused here, before it is sent.
const PART = 1 << 20;
const SECONDS = 3;
const REASONS = {
  NotAllowedError: "The browser has no permission to use the camera. Allow it in the address bar.",
  NotFoundError: "The browser finds no camera on this computer.",
  NotReadableError: "Another program uses the camera. Close that program and try again.",
};

async function send(model, name, video) {
  const about = { name, size: video.size };
  if (video.size > model.get("limit")) model.send({ ...about, last: true });
  for (let at = 0; video.size <= model.get("limit") && at <= video.size; at += PART) {
    const part = await video.slice(at, at + PART).arrayBuffer();
    model.send({ ...about, at, last: at + PART > video.size }, undefined, [part]);
  }
}

async function film(preview, count) {
  if (!navigator.mediaDevices || !window.MediaRecorder)
    throw Error(
      "The browser gives the camera only to pages from localhost or over https. " +
      `This page comes from ${location.host}. Film with another program and choose the file.`);
  const size = { width: { ideal: 640 }, height: { ideal: 480 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: size, audio: false });
  try {
    preview.srcObject = stream;
    preview.hidden = false;
    await preview.play();
    const type = MediaRecorder.isTypeSupported("video/webm") ? "video/webm" : "video/mp4";
    const recorder = new MediaRecorder(stream, { mimeType: type });
    const parts = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    const stopped = new Promise((resolve, reject) => {
      recorder.onstop = resolve;
      recorder.onerror = (event) => reject(event.error ?? Error("The recording failed."));
    });
    recorder.start();
    for (let left = SECONDS; left > 0; left--) {
      count(left);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    if (recorder.state !== "inactive") recorder.stop();
    await stopped;
    return new File(parts, `camera.${type.slice(6)}`, { type });
  } finally {
    stream.getTracks().forEach((track) => track.stop()); // the camera's light goes out
    preview.hidden = true;
    preview.srcObject = null;
  }
}

function render({ model, el }) {
  const input = document.createElement("input"), button = document.createElement("button");
  const words = document.createElement("span"), preview = document.createElement("video");
  const keep = document.createElement("a");
  input.type = "file";
  input.accept = model.get("accept");
  input.className = "statkit-upload";
  input.setAttribute("aria-label", "Choose a video");
  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (!file) return;
    await send(model, file.name, file);
    input.value = "";
  });

  button.type = "button";
  button.className = "statkit-camera jupyter-button";
  button.textContent = `Film ${SECONDS} seconds`;
  button.title = "The film goes to this notebook's kernel and is not kept";
  words.setAttribute("role", "status");
  words.style.margin = keep.style.margin = "0 8px";
  preview.muted = preview.hidden = true;
  preview.setAttribute("aria-label", "What the camera sees");
  preview.style.cssText = "height:160px;vertical-align:top";
  keep.textContent = "keep this film as a file";
  keep.hidden = true;
  button.addEventListener("click", async () => {
    button.disabled = true;
    keep.hidden = true;
    words.textContent = "The browser asks for the camera.";
    try {
      const video = await film(preview, (left) => { words.textContent = `Filming: ${left}`; });
      URL.revokeObjectURL(keep.href);
      keep.href = URL.createObjectURL(video);
      keep.download = video.name;
      await send(model, video.name, video);
      words.textContent = "The film went to this notebook's kernel and is not kept.";
      keep.hidden = false;
    } catch (error) {
      words.textContent = REASONS[error.name] ?? error.message;
    }
    button.disabled = false;
    button.focus(); // a disabled button has lost it
  });
  el.append(input, button, words, keep, preview);
  return () => URL.revokeObjectURL(keep.href);
}

export default { render };
