const DATA = JSON.parse(byId("data").textContent);

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

function card(example) {
  const spans = example.events.map((event) => ({ ...event, said: saidOf(event), text: `${event.label} ${snrText(event.snr_db)}`,
    colour: colourOf(event.label), dashed: event.kind !== "keyword" }));
  const { sound, audio } = player({ ...example, name: example.id, duration_s: DATA.duration_s }, spans, DATA.rate_hz);
  const list = table("", ["label", "kind", "from s", "to s", "SNR", "source"], example.events.map((event) =>
    [event.label, event.kind, event.onset_s.toFixed(3), event.offset_s.toFixed(3), snrText(event.snr_db), event.source]));
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
// A choice by mouse gives the keys back to the list; one by arrow keys may go on.
let byKey = false;
document.querySelector("form").addEventListener("keydown", () => { byKey = true; });
document.querySelector("form").addEventListener("pointerdown", () => { byKey = false; });
document.querySelector("form").addEventListener("change", (event) => {
  if (event.target.tagName === "SELECT" && !byKey) byId("examples").focus({ preventScroll: true });
});
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", (key) => {
  if (keepsKey(key.target, key.key) || key.ctrlKey || key.metaKey || key.altKey) return;
  if (key.key === "j" || key.key === "ArrowDown") go(current + 1);
  else if (key.key === "k" || key.key === "ArrowUp") go(current - 1);
  else if (key.key === " " && current >= 0) {
    const audio = shown[current].querySelector("audio");
    if (audio.paused) audio.play(); else audio.pause();
  } else return;
  key.preventDefault();
});
show();
