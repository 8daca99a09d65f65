// The validation scenes of a training as one stream: scores at a glance, lists, and a scene to hear.
const VALIDATION = (() => {
  const MOST_ROWS = 300;
  let name = "", stream = null, shown = null;

  const heightOf = () => heightIn(stream.log_odds);
  const whole = () => stream.num_scenes * stream.scene_s;
  const at = (row) => row.scene * stream.scene_s + row.time_s;
  const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;

  function overview() {
    const colours = { "false accepts": WRONG, misses: MISSED, hits: FOUND };
    const marks = Object.entries(stream.lists).flatMap(([which, rows]) => rows.map((row) => [at(row) / whole(), colours[which]]));
    drawOverview(byId("stream-overview"), stream.overview, heightOf(), stream.threshold, [], marks);
  }

  // The scene of a row; with `again` its scores are those of a new epoch, and its player stays.
  async function show(row, again = false) {
    shown = row;
    const scene = await ask("api/validation/scene", { name, scene: row.scene });
    if (shown !== row) return;
    const title = again ? scene.name : `${scene.name} · ${row.text}`;
    const lines = scoreLines(scene, heightOf(), scene.threshold, scene.found);
    const article = byId("stream-scene").querySelector("article");
    if (again && article) {
      article.querySelector("h4").textContent = title;
      article.querySelector(".scores").replaceWith(lines);
      return;
    }
    const parts = [make("h4", { textContent: title })];
    if (scene.no_sound) parts.push(lines, make("p", { textContent: `without its sound: ${scene.no_sound}` }));
    else {
      const { sound, audio } = player(scene, spansOf(scene), scene.rate_hz);
      parts.push(sound, lines, audio);
    }
    byId("stream-scene").replaceChildren(make("article", { className: "example current" }, ...parts));
  }

  const showOrSay = (row) => show(row).catch((error) => trouble(error.message));

  function list() {
    const all = stream.lists[byId("stream-which").value], rows = all.slice(0, MOST_ROWS);
    const focused = [...byId("stream-list").children].findIndex((line) => line.contains(document.activeElement));
    byId("stream-list").replaceChildren(...rows.map((row) => make("li", {},
      make("button", { type: "button", textContent: `${clock(at(row))} · ${row.text}`, onclick: () => showOrSay(row) }))));
    if (rows.length < all.length) byId("stream-list").append(make("li", { textContent: `and ${all.length - rows.length} more` }));
    if (focused >= 0 && focused < rows.length) byId("stream-list").children[focused].firstChild.focus({ preventScroll: true });
  }

  byId("stream-which").addEventListener("change", list);
  byId("stream-overview").addEventListener("click", (click) => {
    const box = byId("stream-overview").getBoundingClientRect(), time_s = whole() * (click.clientX - box.left) / box.width;
    const all = Object.entries(stream.lists).flatMap(([which, rows]) => rows.map((row) => [Math.abs(at(row) - time_s), which, row])).sort((a, b) => a[0] - b[0]);
    if (!all.length) return;
    byId("stream-which").value = all[0][1];
    list();
    showOrSay(all[0][2]);
  });

  return {
    // Shows what the latest epoch left; false if this training leaves no scores. `left` says
    // whether another training was chosen meanwhile.
    update: async (training, epoch, left) => {
      const answer = await ask("api/validation", { name: training }).catch((error) => {
        if (error.status === 404) return null;
        throw error;
      });
      if (left()) return true;
      byId("watch-stream").hidden = !answer;
      if (!answer) return false;
      if (training !== name) {
        shown = null;
        byId("stream-scene").replaceChildren();
      }
      const chosen = byId("stream-which").value;
      name = training;
      stream = answer;
      const part = stream.in_all > stream.num_scenes ? `the first ${stream.num_scenes} of ${stream.in_all} scenes` : `${stream.num_scenes} scenes`;
      byId("stream-about").textContent = `${part}, ${clock(whole())} long, one after the other, after epoch ${epoch}, at threshold ${thresholdText(stream.threshold)}`;
      byId("stream-which").replaceChildren(...Object.entries(stream.lists).map(([which, rows]) => make("option", { value: which, textContent: `${which} (${rows.length})` })));
      byId("stream-which").value = chosen || Object.keys(stream.lists).find((which) => stream.lists[which].length) || "hits";
      overview();
      list();
      if (shown) await show({ ...shown }, true);
      return true;
    },
  };
})();
