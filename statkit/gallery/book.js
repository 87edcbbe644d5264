// The pictures of a lesson move without a kernel: every state was drawn ahead. A figure holds its
// states as JSON and the picture of the first; this script adds the controls. It needs no server.
"use strict";

let made = 0;

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Each kind of control: its row on the page, and how it shows a place along its range.
function slider(label, words, moved) {
  const id = `control-${++made}`;
  const range = element("input", { type: "range", id, min: 0, max: words.length - 1, step: 1 });
  const output = element("span", { class: "value", "aria-hidden": true }); // valuetext says it
  range.addEventListener("input", () => moved(Number(range.value)));
  return {
    row: element("div", { class: "control" }, element("label", { for: id }, label), range, output),
    show(place) {
      range.value = place;
      output.textContent = words[place];
      range.setAttribute("aria-valuetext", words[place]);
    },
  };
}

function choice(label, words, moved) {
  const id = `control-${++made}`;
  const options = words.map((text, place) => element("option", { value: place }, text));
  const select = element("select", { id }, ...options);
  select.disabled = words.length < 2;
  select.addEventListener("change", () => moved(Number(select.value)));
  return {
    row: element("div", { class: "control" }, element("label", { for: id }, label), select),
    show(place) { select.value = place; },
  };
}

function toggle(label, words, moved) {
  const id = `control-${++made}`;
  const box = element("input", { type: "checkbox", id });
  box.addEventListener("change", () => moved(Number(box.checked)));
  return {
    row: element("div", { class: "control" }, element("label", { for: id }, label), box),
    show(place) { box.checked = place > 0; },
  };
}

// Numbers that sum to 1: a slider each; one that is moved scales the others as Python does, to the
// nearest shares that are recorded.
function shares(labels, points, moved) {
  let now = 0;
  const parts = labels.map((label, i) => {
    const values = [...new Set(points.map((point) => point[i]))].sort((a, b) => a - b);
    const part = slider(label, values.map((value) => value.toFixed(2)), (place) => {
      const rest = points[now].reduce((sum, value, j) => (j === i ? sum : sum + value), 0);
      const goal = points[now].map((value, j) => {
        if (j === i) return values[place];
        const share = rest > 0 ? value / rest : 1 / (labels.length - 1);
        return (1 - values[place]) * share;
      });
      const far = (point) => point.reduce((sum, value, j) => sum + (value - goal[j]) ** 2, 0);
      const fit = points.map((_, j) => j).filter((j) => points[j][i] === values[place]);
      moved(fit.reduce((best, j) => (far(points[j]) < far(points[best]) ? j : best)));
    });
    return { ...part, place: (point) => values.indexOf(points[point][i]) };
  });
  return {
    row: element("div", { class: "shares" }, ...parts.map((part) => part.row)),
    show(place) {
      now = place;
      for (const part of parts) part.show(part.place(place));
    },
  };
}

const KINDS = { slider, choice, toggle, shares };

function explorer(figure) {
  const { controls, states } = JSON.parse(figure.querySelector("script").textContent);
  const image = figure.querySelector("img");
  const note = element("p", { class: "note", role: "status" });
  const spoken = element("p", { class: "spoken", "aria-live": "polite" });
  const known = new Map(states.map((state) => [state.at.join(), state]));
  let now = states[0], speaking = 0;

  function move(which, place) {
    const goal = now.at.map((old, i) => (i === which ? place : old));
    const others = (state) => state.at.filter((at, i) => i !== which && at !== now.at[i]).length;
    const nearest = () => states.filter((state) => state.at[which] === place)
      .reduce((best, state) => (others(state) < others(best) ? state : best));
    const next = known.get(goal.join()) ?? nearest();
    const back = controls.filter((_, i) => next.at[i] !== goal[i])
      .map((control) => [control.label].flat().join(" / "));
    note.textContent = back.length
      ? `This combination is not recorded. ${back.join(", ")} went back to a recorded value. ` +
        "In Jupyter all combinations can be drawn."
      : "";
    show(next);
    clearTimeout(speaking);
    speaking = setTimeout(() => { spoken.textContent = next.alt; }, 500);
  }

  function show(state) {
    now = state;
    [image.width, image.height] = state.size;
    image.src = `recorded/${state.file}`;
    image.alt = state.alt;
    widgets.forEach((widget, i) => widget.show(state.at[i]));
    const said = controls.map(({ label, words }, i) => [label, words[state.at[i]]]);
    const detail = Object.fromEntries(said);
    figure.dispatchEvent(new CustomEvent("moved", { bubbles: true, detail }));
  }

  const widgets = controls.map(({ kind, label, words }, i) =>
    KINDS[kind](label, words, (place) => move(i, place)));
  const rows = widgets.map((widget) => widget.row);
  figure.prepend(element("div", { class: "controls", role: "group" }, ...rows), note);
  figure.append(spoken);
  show(now);
  // The pictures are fetched once somebody is about to move something.
  const fetchAll = () => states.forEach((state) => { new Image().src = `recorded/${state.file}`; });
  for (const sign of ["pointerenter", "focusin"])
    figure.addEventListener(sign, fetchAll, { once: true });
}

const renderScatter = (() => { /* scatter.js */ })();

// The widget of scatter.js with what was recorded in place of Python's answers.
function scatter(figure) {
  const { maps, now, control, states, ...about } =
    JSON.parse(figure.querySelector("script").textContent);
  const heard = [], values = { ...about, chosen: -1, words: "", picture: "" };
  const tell = (key) => heard.forEach(([event, react]) => event === `change:${key}` && react());
  const place = (word) => { values.maps = new Float32Array(maps[word]); tell("maps"); };
  place(now);
  renderScatter({
    el: figure,
    model: {
      get: (key) => values[key],
      set(key, value) { values[key] = value; },
      on(event, react) { heard.push([event, react]); },
      save_changes() {
        const { file, alt } = states[values.chosen];
        Object.assign(values, { words: alt, picture: `recorded/${file}` });
        ["chosen", "words"].forEach(tell);
      },
    },
  });
  figure.querySelector(".picture").remove(); // it stands in for this widget where no script runs
  document.addEventListener("moved", ({ detail }) => {
    if (detail[control] in maps) place(detail[control]);
  });
}

document.querySelectorAll("figure.scatter").forEach(scatter);
document.querySelectorAll("figure.explorer").forEach(explorer);
