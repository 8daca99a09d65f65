"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2"];
const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function table(caption, head, rows) {
  const isNumber = head.map((_, i) => rows.length > 0 && rows.every((row) => /^-?[\d.,]+$/.test(row[i])));
  const cell = (tag, value, i) => make(tag, { className: isNumber[i] ? "n" : "", textContent: value });
  return make("table", {}, make("caption", { textContent: caption }),
    make("thead", {}, make("tr", {}, ...head.map((name, i) => cell("th", name, i)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((value, i) => cell("td", value, i))))));
}

function svg(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// A histogram: [x, count] of each bar, and what the law expects of each, if it is known.
function chart({ title, unit, bars, law }) {
  const width = 320, height = 140, floor = 115, most = Math.max(1, ...bars.map((b) => b[1]), ...(law || []));
  const each = width / bars.length;
  const total = bars.reduce((sum, b) => sum + b[1], 0);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${title}: ${total} from ${bars[0][0]} to ${bars[bars.length - 1][0]} ${unit}` });
  bars.forEach(([x, count], i) => {
    const tall = (floor - 10) * count / most;
    const bar = svg("rect", { x: i * each + 0.5, y: floor - tall, width: Math.max(1, each - 1), height: tall });
    bar.append(svg("title", {}, `${x} ${unit}: ${count}`));
    drawing.append(bar);
  });
  if (law) {
    const points = law.map((count, i) => `${(i + 0.5) * each},${floor - (floor - 10) * count / most}`);
    drawing.append(svg("polyline", { class: "law", points: points.join(" ") }));
  }
  drawing.append(svg("text", { x: 0, y: height - 8 }, `${bars[0][0]}`),
    svg("text", { x: width, y: height - 8, "text-anchor": "end" }, `${bars[bars.length - 1][0]} ${unit}`),
    svg("text", { x: width / 2, y: height - 8, "text-anchor": "middle" }, `most ${Math.round(most)}`));
  return make("figure", {}, drawing, make("figcaption", { textContent: title }));
}

const labels = [...new Set(DATA.examples.flatMap((e) => e.events.map((v) => v.label)))].sort();
const colourOf = (label) => COLOURS[labels.indexOf(label) % COLOURS.length];

function waveform(canvas, lows, highs) {
  canvas.width = lows.length;
  canvas.height = 100;
  const draw = canvas.getContext("2d");
  draw.fillStyle = "#0072b2";
  lows.forEach((low, i) => draw.fillRect(i, 50 - highs[i] / 2, 1, Math.max(1, (highs[i] - low) / 2)));
}

// Rows for the names of spans, so that none covers another's.
function rows(events) {
  const ends = [];
  return events.map((event) => {
    let row = ends.findIndex((end) => end <= event.onset_s);
    if (row < 0) row = ends.length;
    ends[row] = Math.max(event.offset_s, event.onset_s + DATA.duration_s / 6);
    return row;
  });
}

function card(example) {
  const audio = make("audio", { controls: true, preload: "none", src: example.audio });
  audio.setAttribute("aria-label", `sound of ${example.id}`);
  const canvas = make("canvas");
  waveform(canvas, example.lows, example.highs);
  const picture = make("img", { src: example.picture, alt: `spectrogram of ${example.id}, up to ${DATA.rate_hz / 2} Hz` });
  const head = make("div", { className: "playhead" });
  const sound = make("div", { className: "sound" }, canvas, picture);
  const row = rows(example.events);
  example.events.forEach((event, i) => {
    const name = make("b", { textContent: `${event.label} ${event.snr_db} dB` });
    name.style.top = `${row[i] * 1.1}rem`;
    const span = make("div", { className: event.kind === "keyword" ? "span" : "span other" }, name);
    span.style.left = `${100 * event.onset_s / DATA.duration_s}%`;
    span.style.width = `${100 * (event.offset_s - event.onset_s) / DATA.duration_s}%`;
    span.style.borderColor = colourOf(event.label);
    sound.append(span);
  });
  sound.append(head);
  sound.addEventListener("click", (click) => {
    const box = sound.getBoundingClientRect();
    audio.currentTime = DATA.duration_s * (click.clientX - box.left) / box.width;
    audio.play();
  });
  const move = () => {
    head.style.left = `${100 * audio.currentTime / DATA.duration_s}%`;
    if (!audio.paused) requestAnimationFrame(move);
  };
  audio.addEventListener("play", () => {
    document.querySelectorAll("audio").forEach((other) => other === audio || other.pause());
    move();
  });
  audio.addEventListener("seeked", move);
  const list = table("", ["label", "kind", "from s", "to s", "SNR dB", "source"], example.events.map((event) =>
    [event.label, event.kind, event.onset_s.toFixed(3), event.offset_s.toFixed(3), event.snr_db, event.source]));
  const more = make("details", {}, make("summary", { textContent: "events, backgrounds and plan" }), list,
    make("p", { textContent: `over ${example.backgrounds.join(", ")}` }),
    make("pre", { textContent: JSON.stringify(example.plan, null, 1), tabIndex: 0 }));
  return make("article", { className: "example", tabIndex: -1, id: example.id },
    make("h3", { textContent: `${example.id} · ${example.events.length} ${example.events.length === 1 ? "event" : "events"}` }), sound, audio,
    make("p", {}, "again: ", make("code", { textContent: example.regenerate })), more);
}

let shown = [], current = -1;

function go(to) {
  if (!shown.length) return;
  if (current >= 0 && shown[current]) shown[current].classList.remove("current");
  current = Math.max(0, Math.min(shown.length - 1, to));
  shown[current].classList.add("current");
  shown[current].focus({ preventScroll: true });
  shown[current].scrollIntoView({ block: "start" });
}

const cards = new Map();
const ORDERS = {
  "random": (a, b) => a.random - b.random,
  "worst SNR": (a, b) => a.worst_snr_db - b.worst_snr_db,
  "most crowded": (a, b) => b.events.length - a.events.length || b.sounding - a.sounding,
};

function show() {
  const wanted = { label: byId("label").value, kind: byId("kind").value };
  const split = byId("split").value, snr = byId("snr").value === "" ? Infinity : Number(byId("snr").value);
  const fits = (event) => ["label", "kind"].every((key) => wanted[key] === "any" || event[key] === wanted[key]) && event.snr_db <= snr;
  const asked = wanted.label !== "any" || wanted.kind !== "any" || snr < Infinity;
  const found = DATA.examples
    .filter((e) => (split === "any" || e.split === split) && (!asked || e.events.some(fits)))
    .sort(ORDERS[byId("order").value]);
  document.querySelectorAll("audio").forEach((audio) => audio.pause());
  shown = found.map((e) => {
    if (!cards.has(e.id)) cards.set(e.id, card(e));
    cards.get(e.id).classList.remove("current");
    return cards.get(e.id);
  });
  byId("examples").replaceChildren(...shown);
  byId("count").textContent = `${shown.length} of ${DATA.examples.length} shown`;
  current = -1;
}

function choices(id, values) {
  byId(id).append(...["any", ...values].map((value) => make("option", { value, textContent: value })));
}

byId("title").textContent = DATA.title;
byId("about").textContent = DATA.about;
byId("chosen").textContent = DATA.chosen;
byId("tables").append(...DATA.tables.map((t) => table(t.caption, t.head, t.rows)));
byId("charts").append(...DATA.charts.map(chart));
choices("label", labels);
choices("kind", [...new Set(DATA.examples.flatMap((e) => e.events.map((v) => v.kind)))].sort());
choices("split", [...new Set(DATA.examples.map((e) => e.split))]);
document.querySelector("form").addEventListener("input", show);
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", (key) => {
  if (/^(INPUT|SELECT|AUDIO|SUMMARY|PRE)$/.test(key.target.tagName) || key.ctrlKey || key.metaKey || key.altKey) return;
  if (key.key === "j" || key.key === "ArrowDown") go(current + 1);
  else if (key.key === "k" || key.key === "ArrowUp") go(current - 1);
  else if (key.key === " " && current >= 0) {
    const audio = shown[current].querySelector("audio");
    if (audio.paused) audio.play(); else audio.pause();
  } else return;
  key.preventDefault();
});
show();
