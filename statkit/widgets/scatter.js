// Panels of points on one canvas. The point under the pointer is marked in every panel, and its
// number goes to Python, which answers with a picture and a line of words. Viewers without a kernel
// find a picture of the points in the next output; the style hides it where this widget is alive.
const STYLE = `.jp-OutputArea-child:has(.statkit-scatter)
  + .jp-OutputArea-child:has(.jp-RenderedImage) { display: none; }`;

function render({ model, el }) {
  const size = 270, gap = 12, reach = 12;
  const canvas = document.createElement("canvas");
  const words = document.createElement("div");
  const picture = document.createElement("img"), style = document.createElement("style");
  style.textContent = STYLE;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application"); // with "img" a screen reader keeps the arrow keys
  canvas.setAttribute("data-lm-suppress-shortcuts", ""); // and so would JupyterLab
  canvas.setAttribute("aria-label", "Points of clips; arrow keys step through them");
  canvas.className = "statkit-scatter";
  words.setAttribute("aria-live", "polite");
  words.style.cssText = "min-height:1.5em;margin:4px 0";
  picture.className = "statkit-scatter-clip";
  picture.style.cssText = "display:block;height:170px;max-width:100%;" +
    "object-fit:contain;object-position:left;image-rendering:pixelated";
  el.append(style, canvas, words, picture);
  const brush = canvas.getContext("2d");
  let places = [];

  function layOut() {
    const { buffer, byteOffset, byteLength } = model.get("maps");
    const flat = new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
    const count = model.get("labels").length, panels = model.get("titles").length;
    places = [];
    for (let panel = 0; panel < panels; panel++)
      places.push(flat.subarray(2 * count * panel, 2 * count * (panel + 1)));
    paint();
  }

  // Maps come in 0..1, upwards; a canvas counts downwards.
  const x = (panel, i) => panel * (size + gap) + 8 + places[panel][2 * i] * (size - 16);
  const y = (panel, i) => 24 + (1 - places[panel][2 * i + 1]) * (size - 16);

  function paint() {
    const titles = model.get("titles"), labels = model.get("labels");
    const colours = model.get("colours"), chosen = model.get("chosen");
    const wide = titles.length * (size + gap), high = size + 24;
    const scale = window.devicePixelRatio || 1;
    canvas.width = wide * scale; canvas.height = high * scale;
    canvas.style.width = wide + "px"; canvas.style.height = high + "px";
    brush.scale(scale, scale);
    brush.fillStyle = "#fff"; brush.fillRect(0, 0, wide, high);
    titles.forEach((title, panel) => {
      brush.strokeStyle = "#bbb";
      brush.strokeRect(panel * (size + gap) + 0.5, 16.5, size - 1, size - 1);
      brush.fillStyle = "#222"; brush.font = "12px sans-serif";
      brush.fillText(title, panel * (size + gap) + 4, 11);
      for (let i = 0; i < labels.length; i++) {
        brush.fillStyle = colours[labels[i]];
        brush.beginPath();
        const px = x(panel, i), py = y(panel, i);
        if (colours.indexOf(colours[labels[i]]) === labels[i]) brush.arc(px, py, 2.6, 0, 7);
        else brush.rect(px - 2.3, py - 2.3, 4.6, 4.6); // another class of the same colour
        brush.fill();
      }
      if (chosen < 0) return;
      brush.strokeStyle = "#000"; brush.lineWidth = 2;
      brush.beginPath(); brush.arc(x(panel, chosen), y(panel, chosen), 7, 0, 7); brush.stroke();
      brush.lineWidth = 1;
    });
  }

  function choose(i) {
    if (i === model.get("chosen")) return;
    model.set("chosen", i);
    model.save_changes();
  }

  canvas.addEventListener("mousemove", (event) => {
    const panel = Math.floor(event.offsetX / (size + gap));
    if (panel >= places.length) return;
    let best = -1, least = reach * reach;
    for (let i = 0; i < model.get("labels").length; i++) {
      const dx = x(panel, i) - event.offsetX, dy = y(panel, i) - event.offsetY;
      if (dx * dx + dy * dy < least) { least = dx * dx + dy * dy; best = i; }
    }
    if (best >= 0) choose(best);
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault(); event.stopPropagation();
    const count = model.get("labels").length;
    const now = model.get("chosen"), from = now < 0 && step < 0 ? 0 : now;
    choose((from + step + count) % count);
  });

  function tell() {
    words.textContent = model.get("words");
    const clip = model.get("picture"); // bytes, or in the book a file's address
    URL.revokeObjectURL(picture.src);
    picture.hidden = !(clip.byteLength || clip.length);
    if (!picture.hidden)
      picture.src = clip.byteLength ? URL.createObjectURL(new Blob([clip])) : clip;
    picture.alt = model.get("words");
  }

  model.on("change:maps", layOut);
  model.on("change:chosen", paint);
  model.on("change:words", tell);
  model.on("change:picture", tell);
  layOut();
  tell();
  return () => URL.revokeObjectURL(picture.src);
}

export default { render };
