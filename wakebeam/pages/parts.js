"use strict";
const COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2"];
// Marks of a stream: each has a form and, in an overview, a row of its own, so that they differ in grey too.
const MARKS = {
  "hits": {"colour": "#009e73", "form": "triangle", "row": "top", "sign": "▼", "dash": "none"},
  "misses": {"colour": "#d55e00", "form": "cross", "row": "second", "sign": "✕", "dash": "2 3"},
  "false accepts": {"colour": "#cc79a7", "form": "raised triangle", "row": "bottom", "sign": "▲", "dash": "6 3"}
};
const FOUND = MARKS["hits"], MISSED = MARKS["misses"], WRONG = MARKS["false accepts"];
const DASHES = ["none", "8 3", "2 3", "8 3 2 3"];
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

// 100 dB is what the renderer gives an event with nothing under it.
const snrText = (snr) => snr >= 100 ? "over silence" : `${snr} dB`;

function svg(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function waveform(canvas, lows, highs) {
  canvas.width = lows.length;
  canvas.height = 100;
  const draw = canvas.getContext("2d");
  draw.fillStyle = "#0072b2";
  lows.forEach((low, i) => draw.fillRect(i, 50 - highs[i] / 2, 1, Math.max(1, (highs[i] - low) / 2)));
}

// Rows for the names of spans, so that none covers another's.
function rows(spans, duration_s) {
  const ends = [];
  return spans.map((span) => {
    let row = ends.findIndex((end) => end <= span.onset_s);
    if (row < 0) row = ends.length;
    ends[row] = Math.max(span.offset_s, span.onset_s + duration_s / 6);
    return row;
  });
}

function placeSpan(span, duration_s, row) {
  const name = make("b", { textContent: span.text });
  name.style.top = `${row * 1.1}rem`;
  const box = make("div", { className: span.dashed ? "span other" : "span" }, name);
  box.style.left = `${100 * span.onset_s / duration_s}%`;
  box.style.width = `${100 * (span.offset_s - span.onset_s) / duration_s}%`;
  box.style.borderColor = span.colour;
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", span.said);
  name.title = span.said;
  return box;
}

// Whether a control needs a key for itself; none here takes text, so j and k are free everywhere.
const keepsKey = (target, key) => /^(INPUT|SELECT|AUDIO|SUMMARY|PRE)$/.test(target.tagName) && !/^[jk]$/.test(key);

// Waveform and spectrogram with spans on them, and the sound: a click plays from there.
function player(item, spans, rateHz) {
  const audio = make("audio", { controls: true, preload: "none", src: item.audio });
  audio.setAttribute("aria-label", `sound of ${item.name}`);
  const canvas = make("canvas");
  waveform(canvas, item.lows, item.highs);
  const picture = make("img", { src: item.picture, alt: `spectrogram of ${item.name}, up to ${rateHz / 2} Hz` });
  const head = make("div", { className: "playhead" });
  const row = rows(spans, item.duration_s);
  const sound = make("div", { className: "sound" }, canvas, picture,
    ...spans.map((span, i) => placeSpan(span, item.duration_s, row[i])), head);
  sound.addEventListener("click", (click) => {
    const box = sound.getBoundingClientRect();
    audio.currentTime = item.duration_s * (click.clientX - box.left) / box.width;
    audio.play();
  });
  const move = () => {
    head.style.left = `${100 * audio.currentTime / item.duration_s}%`;
    if (!audio.paused) requestAnimationFrame(move);
  };
  audio.addEventListener("play", () => {
    document.querySelectorAll("audio").forEach((other) => other === audio || other.pause());
    move();
  });
  audio.addEventListener("seeked", move);
  return { sound, audio };
}

// In as many digits as tell a threshold from its neighbours, however near to 1.
const thresholdText = (score) => score < 0.9 ? String(Number(score.toPrecision(4))) : String(Number((1 - Number((1 - score).toPrecision(3))).toPrecision(10)));

const oddsOf = (score) => Math.log(score / (1 - score));

// From log odds to a height: 0 at the upper end of the range, 1 at the lower.
const heightIn = ([low, high]) => (odds) => 1 - (Math.min(Math.max(odds, low), high) - low) / (high - low);

// All that is known of an event, for its span.
const saidOf = (event) => [event.label, event.kind, event.snr_db === undefined ? "" : `SNR ${snrText(event.snr_db)}`,
  event.source && `of ${event.source}`].filter(Boolean).join(", ");

// What is in a stretch, as spans for its player.
function spansOf({ events, start_s, duration_s }) {
  return events.map((event) => ({ text: event.kind === "keyword" ? event.label : event.source || event.label, said: saidOf(event),
    onset_s: Math.max(0, event.onset_s - start_s), offset_s: Math.min(duration_s, event.offset_s - start_s),
    colour: event.kind === "keyword" ? "#f0e442" : "#56b4e9", dashed: event.kind !== "keyword" }));
}

// Scores of a stretch over time, the threshold, and what was found: [seconds, whether it is wrong].
function scoreLines(stretch, heightOf, threshold, found) {
  const width = 640, height = 120, x = (time_s) => (width * time_s / stretch.duration_s).toFixed(1);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "scores", role: "img", "aria-label": "score over time, in log odds, and the threshold" });
  stretch.scores.forEach((values, label) => {
    const points = values.map((odds, i) => `${x(stretch.times_s[i])},${(height * heightOf(odds)).toFixed(1)}`);
    drawing.append(svg("polyline", { points: points.join(" "), fill: "none", "stroke-width": 2, stroke: COLOURS[(label + 1) % COLOURS.length], "stroke-dasharray": DASHES[label % DASHES.length] }));
  });
  const level = height * heightOf(oddsOf(threshold));
  drawing.append(svg("line", { x1: 0, x2: width, y1: level, y2: level, class: "level" }));
  for (const [time_s, wrong] of found.filter(([time]) => time >= 0 && time <= stretch.duration_s)) {
    const mark = wrong ? WRONG : FOUND;
    drawing.append(svg("line", { x1: x(time_s), x2: x(time_s), y1: 0, y2: height, stroke: mark.colour, "stroke-width": 3, "stroke-dasharray": mark.dash }));
  }
  return drawing;
}

function drawMark(draw, { colour, form }, x, y) {
  const r = 6, path = new Path2D({
    "triangle": `M${x - r} ${y - r}h${2 * r}l${-r} ${2 * r}z`,
    "raised triangle": `M${x - r} ${y + r}h${2 * r}l${-r} ${-2 * r}z`,
    "cross": `M${x - r} ${y - r}l${2 * r} ${2 * r}M${x + r} ${y - r}l${-2 * r} ${2 * r}`,
  }[form]);
  draw.fillStyle = draw.strokeStyle = colour;
  draw.lineWidth = 2.5;
  if (form === "cross") draw.stroke(path); else draw.fill(path);
}

// A whole stream at a glance: the highest scores, the threshold, where recordings begin, and marks
// [share of the whole, one of MARKS]: those of keywords in two rows above, false accepts below.
function drawOverview(canvas, highest, heightOf, threshold, begins, marks) {
  const draw = canvas.getContext("2d"), top = 36, tall = canvas.height - 54;
  const middle = { "top": 9, "second": 26, "bottom": canvas.height - 9 };
  const colour = getComputedStyle(document.body).color;
  draw.clearRect(0, 0, canvas.width, canvas.height);
  draw.fillStyle = "#0072b2";
  highest.forEach((odds, i) => draw.fillRect(i * canvas.width / highest.length, top + tall * heightOf(odds), 1, tall * (1 - heightOf(odds)) + 1));
  draw.fillStyle = colour;
  draw.fillRect(0, top + tall * heightOf(oddsOf(threshold)), canvas.width, 1.5);
  begins.forEach((share) => draw.fillRect(canvas.width * share, 0, 1, canvas.height));
  marks.forEach(([share, mark]) => drawMark(draw, mark, canvas.width * share, middle[mark.row]));
}
