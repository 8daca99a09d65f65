const DATA = JSON.parse(byId("data").textContent);
const LISTS = ["false accepts", "misses", "hits"];
const MOST_ROWS = 500;
const LINES = ["solid", "dashed", "dotted", "dashed and dotted"]; // as DASHES
const starts = DATA.recordings.map((_, i) => DATA.recordings.slice(0, i).reduce((sum, r) => sum + r.duration_s, 0));
const wholeS = 3600 * DATA.hours;
let point = DATA.own, list = 0, items = [], current = -1;

const clock = (s) => `${s >= 3600 ? `${Math.floor(s / 3600)}:` : ""}${String(Math.floor(s / 60) % 60).padStart(2, "0")}:${(s % 60).toFixed(1).padStart(4, "0")}`;
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const where = (recording, time) => (DATA.recordings.length > 1 ? `${DATA.recordings[recording].name} ` : "") + clock(time);
const heightOf = heightIn(DATA.log_odds);

// What each list holds at the threshold: when, and what is said of it.
function rowsOf(which) {
  const at = DATA.points[point];
  const of = (number, time, text) => {
    const keyword = DATA.keywords[number];
    const snr = keyword.snr_db === undefined ? "" : ` · SNR ${snrText(keyword.snr_db)}`;
    return { recording: keyword.recording, time, text: `${keyword.label}${snr}${text} · ${keyword.source}` };
  };
  if (which === 0) return at.accepts.map(([recording, time, label, odds, on]) => ({ recording, time, text: `${label} · log odds ${odds} · on ${on}` }));
  if (which === 1) return at.misses.map((number) => of(number, DATA.keywords[number].offset_s, ""));
  return at.hits.map(([number, time]) => of(number, time, ` · after ${(time - DATA.keywords[number].offset_s).toFixed(2)} s`));
}

const end = (recording, time) => Math.min(time, DATA.recordings[recording].duration_s); // a label may end later

function momentOf({ recording, time }) {
  return DATA.moments.find((m) => m.recording === recording && m.start_s <= Math.max(0, end(recording, time) - 1) && m.start_s + m.duration_s >= end(recording, time) - 0.01);
}

// Score over time, the threshold, and what is found at it.
function scores(moment) {
  const found = [...rowsOf(0).map((row) => [row, true]), ...rowsOf(2).map((row) => [row, false])];
  return scoreLines(moment, heightOf, DATA.points[point].threshold,
    found.filter(([row]) => row.recording === moment.recording).map(([row, wrong]) => [row.time - moment.start_s, wrong]));
}

function showMoment(item, play) {
  const moment = momentOf(item);
  const title = make("h3", { textContent: `${where(item.recording, item.time)} · ${item.text}` });
  if (!moment) {
    byId("moment").replaceChildren(make("article", { className: "example" }, title,
      make("p", { textContent: "This stretch isn't in the page: make it with more --examples." })));
    return;
  }
  const { sound, audio } = player({ ...moment, name: where(moment.recording, moment.start_s) }, spansOf(moment), DATA.rate_hz);
  byId("moment").replaceChildren(make("article", { className: "example current" }, title, sound, scores(moment), audio,
    make("p", { className: "legend", textContent: `from ${where(moment.recording, moment.start_s)}; below the picture the score in log odds from ${DATA.log_odds[0]} to ${DATA.log_odds[1]}, the threshold (dashed), and detections: hits solid, false accepts dashed${DATA.labels.length > 1 ? `; lines of ${DATA.labels.map((label, i) => `${label}: ${LINES[i % LINES.length]}`).join(", ")}` : ""}` })));
  if (play) audio.play();
}

function go(to, play = false) {
  if (!items.length) return;
  current = Math.max(0, Math.min(items.length - 1, to));
  [...byId("list").children].forEach((row, i) => row.firstChild.setAttribute("aria-pressed", i === current));
  byId("list").children[current].firstChild.focus({ preventScroll: true });
  byId("list").children[current].scrollIntoView({ block: "nearest" });
  showMoment(items[current], play);
}

function showList() {
  items = rowsOf(list).slice(0, MOST_ROWS);
  const all = [DATA.points[point].num_accepts, DATA.points[point].misses.length, DATA.points[point].hits.length];
  [...document.querySelectorAll(".tabs button")].forEach((tab, i) => {
    tab.textContent = `${LISTS[i]} (${all[i]})`;
    tab.setAttribute("aria-selected", i === list);
    tab.tabIndex = i === list ? 0 : -1;
  });
  byId("panel").setAttribute("aria-labelledby", `tab${list}`);
  byId("list").replaceChildren(...items.map((item, i) => {
    const heard = momentOf(item) ? "" : " (not in the page)";
    const button = make("button", { type: "button", textContent: `${where(item.recording, item.time)} · ${item.text}${heard}`, onclick: () => go(i, true) });
    button.setAttribute("aria-pressed", false);
    return make("li", {}, button);
  }));
  if (items.length < all[list]) byId("list").append(make("li", { textContent: `and ${all[list] - items.length} more` }));
  current = -1;
}

// Inverse of the normal distribution's area, for the axes of a DET curve (Abramowitz and Stegun 26.2.23).
function probit(p) {
  const q = Math.min(Math.max(p, 1e-4), 1 - 1e-4), t = Math.sqrt(-2 * Math.log(Math.min(q, 1 - q)));
  const x = t - (2.515517 + 0.802853 * t + 0.010328 * t * t) / (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t);
  return q < 0.5 ? -x : x;
}

const CURVE = { width: 360, height: 300, left: 54, bottom: 36, low: 0.002, high: 0.98, least: 0.3 / DATA.hours, most: Math.max(20, 3 / DATA.hours) };
const across = (perHour) => CURVE.left + (CURVE.width - CURVE.left - 8) * (Math.log(Math.min(Math.max(perHour, CURVE.least), CURVE.most)) - Math.log(CURVE.least)) / (Math.log(CURVE.most) - Math.log(CURVE.least));
const down = (share) => 8 + (CURVE.height - CURVE.bottom - 8) * (probit(CURVE.high) - probit(Math.min(Math.max(share, CURVE.low), CURVE.high))) / (probit(CURVE.high) - probit(CURVE.low));

function curve() {
  const floor = CURVE.height - CURVE.bottom;
  const drawing = svg("svg", { viewBox: `0 0 ${CURVE.width} ${CURVE.height}`, role: "img", "aria-label": "misses against false accepts per hour of all thresholds" });
  for (const share of [0.002, 0.01, 0.05, 0.1, 0.2, 0.5, 0.8, 0.98]) {
    drawing.append(svg("line", { x1: CURVE.left, x2: CURVE.width - 8, y1: down(share), y2: down(share), class: "grid" }),
      svg("text", { x: CURVE.left - 4, y: down(share) + 4, "text-anchor": "end" }, share === CURVE.low ? `≤ ${100 * share} %` : `${Math.round(100 * share)} %`));
  }
  for (const rate of [0.1, 0.5, 1, 2, 5, 10, 20, 100].filter((r) => r > CURVE.least * 1.6 && r <= CURVE.most)) {
    drawing.append(svg("line", { x1: across(rate), x2: across(rate), y1: 8, y2: floor, class: "grid" }),
      svg("text", { x: across(rate), y: floor + 14, "text-anchor": "middle" }, `${rate}`));
  }
  const steps = DATA.points.map((p) => `${across(p.per_hour).toFixed(1)},${down(p.miss_rate).toFixed(1)}`);
  drawing.append(svg("text", { x: CURVE.left, y: floor + 14, "text-anchor": "middle" }, "0"),
    svg("text", { x: CURVE.width / 2, y: CURVE.height - 4, "text-anchor": "middle" }, "false accepts per hour"),
    svg("polyline", { points: steps.join(" "), class: "det" }),
    svg("circle", { id: "ownpoint", r: 5, class: "ownpoint", cx: across(DATA.points[DATA.own].per_hour), cy: down(DATA.points[DATA.own].miss_rate) }),
    svg("circle", { id: "here", r: 7, class: "here" }));
  return make("figure", {}, drawing, make("figcaption", { textContent: "missed, against false accepts per hour; the ring is this threshold, the dot the detector's own" }));
}

function overview() {
  const marks = [[2, FOUND], [1, MISSED], [0, WRONG]].flatMap(([which, mark]) => rowsOf(which).map((row) => [(starts[row.recording] + row.time) / wholeS, mark]));
  drawOverview(byId("overview"), DATA.overview, heightOf, DATA.points[point].threshold, starts.slice(1).map((begin) => begin / wholeS), marks);
}

function setPoint(to) {
  point = to;
  const at = DATA.points[point], interval = ([low, high], text) => `${text(low)} to ${text(high)}`;
  byId("threshold").value = point;
  byId("threshold").setAttribute("aria-valuetext", thresholdText(at.threshold));
  byId("value").textContent = `${thresholdText(at.threshold)}${point === DATA.own ? ", the detector's own, chosen on validation" : ", read off this stream: no forecast"}`;
  byId("counts").textContent = `${at.misses.length} of ${DATA.keywords.length} missed: ${percent(at.miss_rate)} (${interval(at.miss_interval, percent)}). ` +
    `${at.num_accepts} false accepts: ${at.per_hour.toFixed(2)} per hour (${interval(at.per_hour_interval, (x) => x.toFixed(2))}).`;
  const here = byId("here");
  here.setAttribute("cx", across(at.per_hour));
  here.setAttribute("cy", down(at.miss_rate));
  const before = current >= 0 ? items[current] : null;
  overview();
  showList();
  if (before) showMoment(before, false);
}

byId("title").textContent = DATA.title;
byId("about").textContent = DATA.about;
byId("leak").textContent = `Was any of it trained on? ${DATA.leak_check}.`;
byId("threshold").max = DATA.points.length - 1;
byId("overview").setAttribute("role", "img");
byId("overview").setAttribute("aria-label", "scores over the whole stream; the lists below hold the same");
byId("curve").append(curve());
const tabs = document.querySelector(".tabs");
tabs.append(...LISTS.map((_, i) => make("button", { type: "button", role: "tab", id: `tab${i}`, onclick: () => { list = i; showList(); go(0); } })));
tabs.addEventListener("keydown", (key) => {
  const step = { ArrowRight: 1, ArrowLeft: LISTS.length - 1 }[key.key];
  if (!step) return;
  list = (list + step) % LISTS.length;
  showList();
  byId(`tab${list}`).focus();
});
byId("threshold").addEventListener("input", () => setPoint(Number(byId("threshold").value)));
byId("own").addEventListener("click", () => setPoint(DATA.own));
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
byId("overview").addEventListener("click", (click) => {
  const box = byId("overview").getBoundingClientRect(), time = wholeS * (click.clientX - box.left) / box.width;
  const far = (row) => Math.abs(starts[row.recording] + row.time - time);
  const nearest = LISTS.flatMap((_, which) => rowsOf(which).slice(0, MOST_ROWS).map((row, i) => [far(row), which, i])).sort((a, b) => a[0] - b[0])[0];
  if (!nearest) return;
  list = nearest[1];
  showList();
  go(nearest[2]);
});
document.addEventListener("keydown", (key) => {
  if (keepsKey(key.target, key.key) || key.ctrlKey || key.metaKey || key.altKey) return;
  const audio = document.querySelector("#moment audio");
  if (key.key === "j" || key.key === "ArrowDown") go(current + 1);
  else if (key.key === "k" || key.key === "ArrowUp") go(current - 1);
  else if (key.key === " " && audio && !key.target.closest(".tabs, form")) {
    if (audio.paused) audio.play(); else audio.pause();
  } else return;
  key.preventDefault();
});
setPoint(DATA.own);
list = rowsOf(0).length ? 0 : rowsOf(1).length ? 1 : 2;
showList();
go(0);
