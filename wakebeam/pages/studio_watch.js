ROOMS.watch = (() => {
  const EVERY_MS = 2000;
  const CHARTS = [["loss", "loss", 1], ["miss_rate", "missed on validation, %", 100], ["false_accepts_per_hour", "false accepts per hour on validation", 1],
    ["input_wait_fraction", "waiting for input, % of a step", 100]];
  let timer = null, visit = 0, last = "";
  const stateOf = ({ finished, at_work }) => finished ? "finished" : at_work === null ? "at work or stopped" : at_work ? "at work" : "stopped";

  function lines(epochs, [name, title, scale]) {
    const known = epochs.filter((e) => e[name] !== undefined);
    if (!known.length) return null;
    const width = 320, height = 140, floor = 115, values = known.map((e) => scale * e[name]);
    const most = Math.max(...values) || 1, latest = values[values.length - 1];
    const at = (i) => known.length > 1 ? 8 + (width - 16) * i / (known.length - 1) : width / 2;
    const points = values.map((v, i) => [at(i), floor - (floor - 12) * v / most]);
    const text = (v) => Number(v.toPrecision(3));
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title}: ${text(latest)} after epoch ${known[known.length - 1].epoch}` });
    drawing.append(svg("line", { x1: 0, x2: width, y1: floor, y2: floor, class: "grid" }), svg("polyline", { points: points.map((p) => p.join(",")).join(" "), class: "det" }),
      ...points.map(([x, y]) => svg("circle", { cx: x, cy: y, r: 3, class: "ownpoint" })),
      svg("text", { x: 0, y: height - 8 }, `epoch ${known[0].epoch}`), svg("text", { x: width, y: height - 8, "text-anchor": "end" }, `${known[known.length - 1].epoch}`),
      svg("text", { x: 0, y: 9 }, `${text(most)}`));
    return make("figure", {}, drawing, make("figcaption", { textContent: `${title}: ${text(latest)}` }));
  }

  async function update() {
    const name = byId("watch-training").value;
    if (!name) return;
    try {
      const left = () => byId("watch-training").value !== name;
      const training = await ask("api/training", { name });
      if (left()) return;
      const { epochs, judged } = training;
      const percent = (x) => `${(100 * x).toFixed(1)} %`;
      const result = judged.miss_rate === undefined ? "" : `; on the test split ${percent(judged.miss_rate)} missed (${judged.miss_interval.map(percent).join(" to ")}) at ${judged.false_accepts_per_hour.toFixed(2)} false accepts per hour`;
      byId("watch-state").textContent = `${epochs.length} epoch${epochs.length === 1 ? "" : "s"}, ${stateOf(training)}${result}`;
      if (JSON.stringify(training) === last) return;
      byId("watch-charts").replaceChildren(...CHARTS.map((chart) => lines(epochs, chart)).filter(Boolean));
      const picture = byId("watch-output").querySelector("img");
      picture.onload = () => { byId("watch-output").hidden = false; };
      picture.onerror = () => { byId("watch-output").hidden = true; };
      const streamed = await VALIDATION.update(name, epochs.length, left);
      if (left()) return;
      if (streamed) byId("watch-output").hidden = true;
      else picture.src = `api/output?${new URLSearchParams({ name, after: epochs.length })}`;
      const names = Object.keys(epochs[0] || {});
      byId("watch-table").replaceChildren(...(names.length ? [table("after each epoch", names.map((n) => n.replaceAll("_", " ")),
        epochs.map((e) => names.map((n) => e[n] === undefined ? "" : String(Number(e[n].toPrecision(4))))))] : []));
      last = JSON.stringify(training);
      trouble("");
    } catch (error) {
      trouble(error.message);
    }
  }

  byId("watch-training").addEventListener("change", () => { last = ""; update(); });
  return {
    enter: async () => {
      const visited = visit;
      let names = [];
      try { names = await ask("api/trainings"); } catch (error) { trouble(error.message); return; }
      if (visit !== visited) return;
      byId("watch-training").replaceChildren(...names.map((name) => make("option", { value: name, textContent: name })));
      if (!names.length) byId("watch-state").textContent = "nothing was trained below this folder";
      last = "";
      update();
      timer = setInterval(update, EVERY_MS);
    },
    leave: () => { visit += 1; clearInterval(timer); },
  };
})();
