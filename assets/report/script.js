"use strict";
// Draws a report (its JSON is in #data; the fields are described in src/viz/report.rs) and steps through it.

const report = JSON.parse(document.getElementById("data").textContent);
const { text, vocab } = report;
const byId = (id) => document.getElementById(id);
const TOP_SURPRISE = 5; // nats at the end of the colour scale
/** Milliseconds of a thinking step while playing: a character takes about a second and a half. */
const BEAT = Math.max(120, 1500 / ((report.think_steps ?? 0) + 1));

const state = { at: 0, step: 0, timer: null };

// ---- characters and numbers -------------------------------------------------------------------------------------------

const WORDS = { " ": "space", "\n": "newline", "\t": "tab", "\u00a0": "no-break space" };
const SIGNS = { " ": "·", "\n": "↵", "\t": "⇥", "\u00a0": "⍽" };
const code = (c) => "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
const unseen = (c) => /[\p{C}\p{Z}]/u.test(c); // controls, formats, separators
/** A character as it can be seen. */
const sign = (c) => SIGNS[c] ?? (unseen(c) ? code(c) : /\p{M}/u.test(c) ? "◌" + c : c);
/** A character as it is called. */
const called = (c) => WORDS[c] ?? (unseen(c) ? code(c) : "“" + sign(c) + "”");

const fixed = (x, digits) => (Number(x.toFixed(digits)) === 0 ? 0 : x).toFixed(digits).replace("-", "−");
const signed = (x, digits) => (Number(x.toFixed(digits)) > 0 ? "+" : "") + fixed(x, digits);
const percent = (p) => fixed(100 * p, p < 0.0995 ? 2 : 1) + "\u00a0%";

/** An element with properties, attributes (those with a dash, and role) and children. */
function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "scope") node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children);
  return node;
}

const last = (list) => list[list.length - 1];
const first = (list) => list[0];
/** Nats that thinking took away (negative) or added. */
const change = (thinking) => last(thinking.surprise) - first(thinking.surprise);

// ---- the text ---------------------------------------------------------------------------------------------------------

/** One cell for each character, in words that wrap as a whole. */
function drawText() {
  let word = null;
  const cells = text.map((character, i) => {
    const c = vocab[character.id];
    const cell = element("span", { className: "cell", role: "option", tabIndex: -1, "aria-selected": "false" }, sign(c));
    cell.dataset.i = i;
    cell.classList.toggle("given", !character.written && report.written !== null);
    cell.classList.toggle("sign", c in SIGNS);
    cell.classList.toggle("code", sign(c).length > 2);
    const nats = character.thinking ? fixed(last(character.thinking.surprise), 2) + " nats" : "not predicted";
    cell.setAttribute("aria-label", called(c) + ", " + nats);
    cell.title = called(c) + " · " + nats;
    if (word === null) {
      word = element("span", { className: "word", role: "none" });
      byId("text").append(word);
    }
    word.append(cell);
    if (/\s/.test(c)) word = null; // a space stays with the word before it
    if (c === "\n") byId("text").append(element("br"));
    return cell;
  });
  return cells;
}

/** The largest change of surprise in the text, the end of the scale of changes. */
const topChange = Math.max(0.01, ...text.filter((c) => c.thinking).map((c) => Math.abs(change(c.thinking))));

/** The colour of a share 0 … 1 of a scale's end. */
const shade = (end, share) =>
  `color-mix(in oklab, var(${end}) ${fixed(100 * Math.min(1, Math.max(0, share)), 1)}%, var(--raised))`;

function background(thinking, step, mode) {
  if (!thinking) return "transparent";
  if (mode === "surprise") return shade("--hot", thinking.surprise[step] / TOP_SURPRISE);
  return shade(change(thinking) > 0 ? "--hot" : "--cold", Math.abs(change(thinking)) / topChange);
}

/** Colours all cells and says what the colours mean. */
function paint() {
  const mode = byId("colour").value;
  text.forEach(({ thinking }, i) => {
    cells[i].style.backgroundColor = background(thinking, thinking ? thinking.surprise.length - 1 : 0, mode);
  });
  const digits = topChange < 0.1 ? 3 : 2;
  const [ramp, ticks, said] =
    mode === "surprise"
      ? ["var(--raised), var(--hot)", ["0", "1", "2", "3", "4", "5+ nats"], "Colour: surprise from 0 to 5 nats"]
      : [
          "var(--cold), var(--raised), var(--hot)",
          [signed(-topChange, digits), "0", signed(topChange, digits) + " nats"],
          "Colour: change of surprise by thinking, blue for less, orange for more",
        ];
  byId("legend").setAttribute("aria-label", said);
  const bar = element("div", { className: "ramp" });
  bar.style.background = `linear-gradient(to right in oklab, ${ramp})`;
  byId("underlined").hidden = !report.written || !report.given;
  byId("legend").replaceChildren(bar, element("div", { className: "ticks" }, ...ticks.map((t) => element("span", {}, t))));
}

// ---- the selected character -------------------------------------------------------------------------------------------

/** Selects a character; `step` null stays at the last step, or at the same one. */
function select(i, { step = null, focus = false } = {}) {
  const before = text[state.at].thinking;
  const steps = (thinking) => (thinking ? thinking.energy.length - 1 : 0);
  const atEnd = state.step >= steps(before);
  cells[state.at].setAttribute("aria-selected", "false");
  cells[state.at].tabIndex = -1;
  state.at = Math.min(text.length - 1, Math.max(0, i));
  const most = steps(text[state.at].thinking);
  state.step = step ?? (atEnd ? most : Math.min(state.step, most));
  const cell = cells[state.at];
  cell.setAttribute("aria-selected", "true");
  cell.tabIndex = 0;
  if (focus) cell.focus({ preventScroll: true });
  keepInView(cell);
  drawCharacter();
}

/** Scrolls the text, and only the text, to a cell. */
function keepInView(cell) {
  const [box, inner] = [byId("text").getBoundingClientRect(), cell.getBoundingClientRect()];
  const margin = 8;
  if (inner.top < box.top + margin) byId("text").scrollTop -= box.top + margin - inner.top;
  if (inner.bottom > box.bottom - margin) byId("text").scrollTop += inner.bottom - box.bottom + margin;
}

/** What does not change with the thinking step. */
function drawCharacter() {
  const { id, written, thinking } = text[state.at];
  const c = vocab[id];
  const glyph = byId("glyph");
  glyph.textContent = sign(c);
  glyph.classList.toggle("long", sign(c).length > 2);
  byId("place").textContent = `Character ${state.at + 1} of ${text.length}, ${written ? "written" : "given"}`;
  const context = text.slice(Math.max(0, state.at - 24), state.at).map((x) => sign(vocab[x.id])).join("");
  byId("context").textContent = (state.at > 24 ? "…" : "") + context + "▌";
  byId("story").textContent = story(c, written, thinking);
  byId("thinking").hidden = !thinking;
  glyph.style.backgroundColor = "transparent";
  if (!thinking) return;
  const most = thinking.energy.length - 1;
  byId("step").max = most;
  byId("thinking").classList.toggle("once", most === 0); // System 1 alone: nothing moves
  const early = `Stopped after ${most} of ${report.think_steps} steps: the energy hardly changed any more.`;
  byId("early").textContent = most < report.think_steps ? early : "";
  drawStep();
}

/** One sentence about a character. */
function story(c, written, thinking) {
  if (!thinking) return "The text begins here: there is nothing to predict it from.";
  const at = thinking.ids.indexOf(text[state.at].id);
  const [p, ranks] = [thinking.p.map((row) => row[at]), thinking.ranks.map((row) => row[at])];
  const how = !written ? "was given" : report.sample ? "was drawn" : "was taken as the best";
  const moved = first(ranks) === last(ranks) ? "before and after thinking" : `before thinking, ${last(ranks)} after`;
  const rank = `rank ${first(ranks)}` + (p.length > 1 ? " " + moved : "");
  const nats =
    p.length > 1
      ? `Its surprise went from ${fixed(first(thinking.surprise), 3)} to ${fixed(last(thinking.surprise), 3)} nats.`
      : `Its surprise is ${fixed(first(thinking.surprise), 3)} nats.`;
  return `${called(c)} ${how}; the model gave it ${percent(last(p))}, ${rank}. ${nats}`.replace(/^./u, (x) => x.toUpperCase());
}

/** What changes with the thinking step. */
function drawStep() {
  const { thinking } = text[state.at];
  const { step } = state;
  const most = thinking.energy.length - 1;
  const name = step === 0 ? "System 1" : `step ${step} of ${most}`;
  byId("step").value = step;
  byId("step").setAttribute("aria-valuetext", `${name}, energy ${fixed(thinking.energy[step], 3)}`);
  byId("stepname").textContent = `step ${step} of ${most}`;
  byId("glyph").style.backgroundColor = background(thinking, step, "surprise");
  const reach = (series) => Math.max(...series) - Math.min(...series);
  const span = Math.max(2e-4, ...[thinking.energy, thinking.entropy, thinking.surprise].map(reach));
  byId("charts").replaceChildren(
    chart("energy", thinking.energy, step, span),
    chart("entropy", thinking.entropy, step, span),
    chart("surprise", thinking.surprise, step, span),
  );
  byId("height").textContent = `The charts have one scale: each is ${fixed(span, span < 0.1 ? 4 : 2)} nats high.`;
  drawCandidates(thinking, step);
}

/** Points of a series in a box, as [x, y] pairs: `low` … `high` from the bottom to the top. */
function points(series, [width, height], [low, high]) {
  const x = (k) => (series.length > 1 ? (k / (series.length - 1)) * width : width / 2);
  return series.map((value, k) => [fixed(x(k), 1), ((high - value) / (high - low)) * height].map(Number));
}

/** A small line chart, `span` nats high, of one number over the thinking steps. The SVGs are made of numbers only. */
function chart(label, series, step, span) {
  const [width, height] = [160, 44];
  const [low, high] = [Math.min(...series), Math.max(...series)];
  const middle = (low + high) / 2;
  const reach = span / 2;
  const at = points(series, [width, height], [middle - reach, middle + reach]);
  const dot = (k) => (k === step ? `class="now" r="4"` : `class="dot" r="2.5"`);
  const dots = at.map(([x, y], k) => `<circle cx="${x}" cy="${y}" ${dot(k)}/>`).join("");
  const path = `<polyline class="path" points="${at.join(" ")}"/>`;
  const digits = high - low < 0.1 ? 4 : 2;
  const figure = element("figure", {}, element("figcaption", {}, `${label}, nats`, element("b", {}, fixed(series[step], digits))));
  const since = [signed(series[step] - series[0], digits), element("span", { className: "wide" }, " since System 1")];
  figure.firstChild.append(...(step === 0 ? ["System 1"] : since));
  const box = `-5 -5 ${width + 10} ${height + 10}`; // room for the dots
  figure.insertAdjacentHTML("beforeend", `<svg viewBox="${box}" role="img">${path}${dots}</svg>`);
  figure.lastChild.setAttribute("aria-label", `${label} by step: ${series.map((x) => fixed(x, digits)).join(", ")}`);
  return figure;
}

/** The candidates at a step: probabilities with System 1's marked, and their way through all steps. */
function drawCandidates(thinking, step) {
  const moves = thinking.p.map((row) => row.map((p, c) => 100 * (p - thinking.p[0][c]))); // percentage points (S, C)
  const most = Math.max(1e-3, ...moves.flat().map(Math.abs));
  const digits = most < 0.05 ? 3 : most < 10 ? 2 : 1;
  const widest = scale(Math.max(...thinking.p.flat()));
  byId("scale").textContent = `, bars to ${Number((100 * widest).toPrecision(1))}\u00a0%`;
  const rows = thinking.ids.map((id, c) => {
    const chosen = id === text[state.at].id;
    const word = WORDS[vocab[id]] ?? "";
    const note = [word, chosen ? (text[state.at].written ? "written" : "given") : ""].filter(Boolean).join(", ");
    const fill = element("span", { className: "fill" });
    fill.style.width = (100 * thinking.p[step][c]) / widest + "%";
    const mark = element("span", { className: "before" });
    mark.style.left = (100 * thinking.p[0][c]) / widest + "%";
    const share = element("span", { className: "value" }, percent(thinking.p[step][c]));
    const track = element("div", { className: "track", "aria-hidden": "true" }, fill, mark);
    const spark = element("div", { className: "spark" });
    spark.innerHTML = sparkline(moves.map((row) => row[c]), step, most);
    spark.append(element("span", {}, signed(moves[step][c], digits)));
    return element("tr", { className: chosen ? "chosen" : "" },
      element("td", { className: "number" }, String(thinking.ranks[step][c])),
      element("td", { className: "token" }, sign(vocab[id]) + " ", element("small", {}, note)),
      element("td", {}, element("div", { className: "share" }, share, track)),
      element("td", {}, spark),
      element("td", { className: "number" }, fixed(thinking.energies[c], 2)),
      element("td", { className: "number" }, fixed(thinking.logits[step][c], 2)));
  });
  byId("candidates").tBodies[0].replaceChildren(...rows);
}

/** The end of a scale for numbers up to `most`: 1, 2 or 5 times a power of ten, and no more than 1. */
function scale(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return Math.min(1, [1, 2, 5, 10].find((step) => step * power >= most) * power);
}

function sparkline(series, step, most) {
  const at = points(series, [48, 20], [-most, most]);
  return `<svg viewBox="0 0 48 20" aria-hidden="true"><line class="base" x1="0" x2="48" y1="10" y2="10"/>
    <polyline class="path" points="${at.join(" ")}"/><circle class="now" cx="${at[step][0]}" cy="${at[step][1]}" r="2"/></svg>`;
}

// ---- the whole text ---------------------------------------------------------------------------------------------------

function drawTotals() {
  const parts = [["given", report.given], ["written", report.written]].filter(([, totals]) => totals);
  const rows = [
    ["characters scored", (t) => String(t.characters)],
    ["mean surprise, System 1", (t) => fixed(t.surprise_s1, 4)],
    ["mean energy, System 1: E<sub>0</sub>", (t) => fixed(t.energy_initial, 4)],
    ["mean surprise, System 2", (t) => fixed(t.surprise_s2, 4)],
    ["mean energy, System 2: E<sub>K</sub>", (t) => fixed(t.energy_final, 4)],
    ["energy gap, E<sub>0</sub> − E<sub>K</sub>", (t) => fixed(t.energy_gap, 4)],
  ].slice(0, report.think_steps ? 6 : 3);
  const head = element("tr", {}, element("td"), ...parts.map(([name]) => element("th", { scope: "col" }, name)));
  const body = rows.map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row", innerHTML: name }), ...parts.map(([, t]) => element("td", {}, value(t)))));
  byId("totals").append(element("thead", {}, head), element("tbody", {}, ...body));
  byId("fair").textContent =
    report.written && report.think_steps
      ? "The written text was chosen by System 2, which flatters it; the given text is the fair comparison."
      : "";
}

function describe() {
  const how = report.think_steps ? `${report.think_steps} steps of System 2, ${report.step_size}` : "System 1";
  const limits = [report.top_k && `the ${report.top_k} likeliest`, report.top_p && `the likeliest that reach ${report.top_p}`];
  const from = limits.filter(Boolean).join(" and ");
  const drawn = `drawn at temperature ${report.temperature}${from ? " from " + from : ""}, seed ${report.seed}`;
  const chosen = !report.written ? "scored, not written" : report.sample ? drawn : "always the likeliest";
  byId("about").textContent = [report.checkpoint, how, chosen].join(" · ");
}

// ---- keys, play, theme ------------------------------------------------------------------------------------------------

function setStep(step) {
  const { thinking } = text[state.at];
  if (!thinking) return;
  state.step = Math.min(thinking.energy.length - 1, Math.max(0, step));
  drawStep();
}

/** Think through a character, then go to the next, as the model did. */
function beat() {
  const { thinking } = text[state.at];
  if (thinking && state.step < thinking.energy.length - 1) setStep(state.step + 1);
  else if (state.at + 1 === text.length) return play(false);
  else select(state.at + 1, { step: 0, focus: byId("text").contains(document.activeElement) });
  cells.forEach((cell, i) => cell.classList.toggle("ahead", i > state.at));
}

function play(on) {
  clearInterval(state.timer);
  state.timer = on ? setInterval(beat, BEAT) : null;
  byId("play").textContent = on ? "Pause" : "Play";
  byId("play").setAttribute("aria-pressed", String(on));
  if (on && state.at + 1 === text.length) select(0, { step: 0 }); // from the end, again from the start
  if (on) setStep(0);
  cells.forEach((cell, i) => cell.classList.toggle("ahead", on && i > state.at));
}

/** The cell above (-1) or below (1): on the next line, nearest in x. */
function vertical(direction) {
  const here = cells[state.at].getBoundingClientRect();
  const others = cells.map((cell, i) => [i, cell.getBoundingClientRect()]);
  const beyond = others.filter(([, r]) => (r.bottom - here.bottom) * direction > here.height / 2);
  const line = Math.min(...beyond.map(([, r]) => Math.abs(r.bottom - here.bottom)));
  const near = beyond.filter(([, r]) => Math.abs(r.bottom - here.bottom) < line + here.height / 2);
  near.sort((a, b) => Math.abs(a[1].left - here.left) - Math.abs(b[1].left - here.left));
  return near.length ? near[0][0] : state.at;
}

const KEYS = {
  ArrowLeft: () => select(state.at - 1, { focus: true }),
  ArrowRight: () => select(state.at + 1, { focus: true }),
  ArrowUp: () => select(vertical(-1), { focus: true }),
  ArrowDown: () => select(vertical(1), { focus: true }),
  Home: () => select(0, { focus: true }),
  End: () => select(text.length - 1, { focus: true }),
  ",": () => setStep(state.step - 1),
  ".": () => setStep(state.step + 1),
  " ": () => play(state.timer === null),
};

document.addEventListener("keydown", (event) => {
  const control = event.target.closest("button, select, input");
  const theirs = control && ![",", "."].includes(event.key); // a control keeps its own keys
  if (event.ctrlKey || event.metaKey || event.altKey || theirs || !(event.key in KEYS)) return;
  event.preventDefault();
  if (event.key !== " ") play(false);
  KEYS[event.key]();
});
byId("text").addEventListener("click", (event) => {
  const cell = event.target.closest(".cell");
  if (!cell) return;
  play(false);
  select(Number(cell.dataset.i), { focus: true });
});
byId("step").addEventListener("input", (event) => {
  play(false);
  setStep(Number(event.target.value));
});
byId("play").addEventListener("click", () => play(state.timer === null));
byId("colour").addEventListener("change", paint);
const preference = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.style.colorScheme || (preference.matches ? "dark" : "light")) === "dark";
const nameTheme = () => { byId("theme").textContent = isDark() ? "Light" : "Dark"; };
byId("theme").addEventListener("click", () => {
  document.documentElement.style.colorScheme = isDark() ? "light" : "dark";
  nameTheme();
});
preference.addEventListener("change", nameTheme);

nameTheme();
const cells = drawText();
describe();
paint();
drawTotals();
state.step = Infinity; // the last step, whatever it is
// Begin where there was something to think about: the first written (else given) character of some surprise.
const begin = (part) => text.findIndex((c) => part(c) && c.thinking && last(c.thinking.surprise) > 1);
select([begin((c) => c.written), begin(() => true), text.length > 1 ? 1 : 0].find((i) => i >= 0));
