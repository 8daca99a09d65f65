"use strict";
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
  return box;
}

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
