// A picture that Python draws. The same picture stands in the next output for viewers without a
// kernel; the style hides that output as long as this widget has a picture to show.
const STYLE = `
.statkit-picture img { max-width: 100%; height: auto; object-fit: contain; object-position: left;
  max-height: max(24rem, calc(100vh - 17rem)); }
.statkit-spoken { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); }
[class$="widget-error"] { color: var(--jp-error-color1, #b00); white-space: pre-wrap; }
.jp-OutputArea-child:has(.statkit-picture img[src]) + .jp-OutputArea-child:has(.jp-RenderedImage) {
  display: none; }`;

// Notebook 7 would take the arrow keys of a slider to walk through cells.
function keepArrows(event) {
  if (event.target.closest?.(".statkit-control"))
    event.target.toggleAttribute("data-lm-suppress-shortcuts", event.key.startsWith("Arrow"));
}

// Screen readers do not see from a colour which of several buttons is pressed.
function sayPressed() {
  for (const button of document.querySelectorAll(".widget-toggle-buttons button"))
    button.setAttribute("aria-pressed", button.classList.contains("mod-active"));
}

function afterClick() {
  setTimeout(sayPressed, 50); // the widget itself colours its buttons first
}

function render({ model, el }) {
  const style = document.createElement("style");
  const picture = document.createElement("img"), words = document.createElement("div");
  style.textContent = STYLE;
  picture.decoding = "sync"; // the old picture stays until the new one can be painted
  el.classList.add("statkit-picture");
  const spoken = document.createElement("p"); // for screen readers, once the controls rest
  let speaking = 0;
  spoken.className = "statkit-spoken";
  spoken.setAttribute("aria-live", "polite");
  words.setAttribute("role", "alert");
  el.append(style, words, picture, spoken);

  function show() {
    const png = model.get("png"), before = picture.src;
    if (!png.byteLength) return;
    picture.width = png.getUint32(16); // as a PNG file says; the page then stands still
    picture.height = png.getUint32(20);
    picture.src = URL.createObjectURL(new Blob([png], { type: "image/png" }));
    URL.revokeObjectURL(before);
  }

  function tell() {
    picture.alt = model.get("alt");
    words.innerHTML = model.get("words");
    picture.style.display = words.innerHTML ? "none" : "block";
    clearTimeout(speaking);
    speaking = setTimeout(() => { spoken.textContent = picture.alt; sayPressed(); }, 500);
  }

  model.on("change:png", show);
  model.on("change:alt", tell);
  model.on("change:words", tell);
  tell();
  show();
  addEventListener("keydown", keepArrows, true);
  addEventListener("click", afterClick, true);
  return () => {
    removeEventListener("keydown", keepArrows, true);
    removeEventListener("click", afterClick, true);
    URL.revokeObjectURL(picture.src);
  };
}

export default { render };
