ROOMS.label = (() => {
  const SNAP_S = 0.15, NUDGE_S = 0.01, SHORTEST_S = 0.02, SAVE_AFTER_MS = 400, RETRY_MS = 1000;
  const view = byId("label-view"), spans = view.querySelector(".spans"), audio = byId("label-audio");
  let name = "", durationS = 0, revision = "", labels = [], proposals = [], undone = [], done = [];
  let from = 0, width = 20, active = [], selected = -1, candidate = null, playing = null;
  let timer = null, saving = false, unsaved = false, stretchAsked = 0, stretch = null;

  const state = (text) => { byId("label-state").textContent = text; };
  const to = () => Math.min(durationS, from + width);
  const clamp = (x, low, high) => Math.max(low, Math.min(high, x));
  const round = (x) => Math.round(1000 * x) / 1000;
  const sorted = (rows) => rows.sort((a, b) => a.onset_s - b.onset_s || a.offset_s - b.offset_s);
  const asked = () => ({ name, from_s: from.toFixed(3), to_s: to().toFixed(3) });

  // Saving: soon after a change, one at a time, again until it has worked; never over another's.
  function changed(rows) {
    done.push(JSON.stringify(labels));
    undone = [];
    labels = sorted(rows);
    toSave();
  }

  function toSave() {
    unsaved = true;
    state("not saved yet");
    if (!timer && !saving) timer = setTimeout(save, SAVE_AFTER_MS);
    show();
  }

  async function save() {
    timer = null;
    if (saving || !unsaved) return;
    saving = true;
    unsaved = false;
    const of = name;
    let again = SAVE_AFTER_MS;
    try {
      const body = JSON.stringify({ revision, labels });
      const answer = await ask("/api/labels", { name }, { method: "PUT", body, headers: { "Content-Type": "application/json" } });
      if (of === name) revision = answer.revision;
      if (!unsaved) state("saved");
      trouble("");
    } catch (error) {
      unsaved = true;
      if (error.status === 409) {
        byId("label-conflict").hidden = false;
        byId("label-conflict").there = error.body;
        state("not saved: changed elsewhere");
        again = 0;
      } else if (error.status === 400) {
        state(`not saved: ${error.message}`);
        again = 0;
      } else {
        state("not saved: the studio doesn't answer; trying again");
        again = RETRY_MS;
      }
    }
    saving = false;
    if (unsaved && again) timer = setTimeout(save, again);
  }

  function settle(mine) {
    const there = byId("label-conflict").there;
    byId("label-conflict").hidden = true;
    revision = there.revision;
    if (mine) { toSave(); return; }
    done.push(JSON.stringify(labels));
    labels = there.labels;
    unsaved = false;
    state("as it is there");
    show();
  }

  function goBack(taken, given) {
    if (!taken.length) return;
    given.push(JSON.stringify(labels));
    labels = JSON.parse(taken.pop());
    selected = -1;
    toSave();
  }

  // Showing.
  function place(element, span) {
    element.style.left = `${100 * (span.onset_s - from) / (to() - from)}%`;
    element.style.width = `${100 * (span.offset_s - span.onset_s) / (to() - from)}%`;
    return element;
  }

  const visible = (span) => span.offset_s > from && span.onset_s < to();
  const texts = () => [...new Set(labels.map((one) => one.label))].sort();

  function show() {
    const colours = texts();
    const boxes = labels.map((label, i) => [label, i]).filter(([label]) => visible(label)).map(([label, i]) => {
      const box = place(make("button", { type: "button", className: `span label${i === selected ? " selected" : ""}` }, make("b", { textContent: label.label })), label);
      box.style.borderColor = COLOURS[colours.indexOf(label.label) % COLOURS.length];
      box.setAttribute("aria-label", `${label.label} from ${label.onset_s} to ${label.offset_s} seconds`);
      box.dataset.index = i;
      box.addEventListener("focus", () => { if (selected !== i) select(i); });
      return box;
    });
    const more = proposals.filter(visible).map((one) => place(make("div", { className: `span other proposal${one === proposals[0] ? " selected" : ""}` }, make("b", { textContent: `${one.label}? ${one.score}` })), one));
    if (candidate && visible(candidate)) more.push(place(make("div", { className: "span candidate" }), candidate));
    const focused = document.activeElement && document.activeElement.dataset.index;
    spans.replaceChildren(...boxes, ...more);
    if (focused !== undefined) {
      const again = spans.querySelector(`[data-index="${selected}"]`);
      if (again) again.focus({ preventScroll: true });
    }
    byId("label-texts").replaceChildren(...texts().map((value) => make("option", { value })));
    byId("label-list").replaceChildren(...labels.map((label, i) => make("li", {}, make("button", { type: "button", textContent: `${label.onset_s.toFixed(3)} – ${label.offset_s.toFixed(3)} s · ${label.label}`, onclick: () => { select(i); reveal(label); } }))));
    byId("label-undo").disabled = !done.length;
    byId("label-redo").disabled = !undone.length;
    byId("label-remove").disabled = selected < 0;
    byId("label-add").disabled = !candidate;
    byId("label-accept").hidden = byId("label-reject").hidden = !proposals.length;
  }

  async function showStretch() {
    byId("label-position").value = from;
    byId("label-axis").replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((share) => make("span", { textContent: `${(from + share * (to() - from)).toFixed(2)} s` })));
    show();
    const number = ++stretchAsked;
    try {
      const found = await ask("/api/stretch", asked());
      if (number !== stretchAsked) return;
      stretch = found;
      waveform(view.querySelector("canvas"), found.lows, found.highs);
      view.querySelector("img").src = found.picture;
      active = found.active;
    } catch (error) {
      trouble(error.message);
    }
  }

  function go(at) {
    from = clamp(at, 0, Math.max(0, durationS - width));
    showStretch();
  }

  function zoom(factor) {
    const middle = candidate ? candidate.onset_s : selected >= 0 ? labels[selected].onset_s : (from + to()) / 2;
    width = clamp(width * factor, 1, Math.min(120, Math.max(1, durationS)));
    go(middle - width / 2);
  }

  function reveal(span) {
    if (span.onset_s < from || span.offset_s > to()) go(span.onset_s - width / 4);
    else show();
  }

  function select(i) {
    selected = i;
    candidate = null;
    byId("label-text").value = labels[i].label;
    show();
  }

  // Snapping: to where sound begins and ends.
  function snap(time, free) {
    if (free) return time;
    const edges = active.flat().filter((edge) => Math.abs(edge - time) <= SNAP_S);
    return edges.sort((a, b) => Math.abs(a - time) - Math.abs(b - time))[0] ?? time;
  }

  async function walk(step) {
    const now = candidate ? candidate.onset_s : step > 0 ? from - 1e-6 : to();
    const taken = (span) => labels.some((label) => label.onset_s < span[1] && label.offset_s > span[0]);
    for (;;) {
      const rest = active.filter((span) => !taken(span) && (step > 0 ? span[0] > now + 1e-6 : span[0] < now - 1e-6));
      const found = rest[step > 0 ? 0 : rest.length - 1];
      if (found) {
        candidate = { onset_s: found[0], offset_s: found[1] };
        selected = -1;
        show();
        return;
      }
      const next = clamp(from + step * width * 0.9, 0, Math.max(0, durationS - width));
      if (next === from) return;
      from = next;
      await showStretch();
    }
  }

  function add(span, label) {
    const row = { onset_s: round(clamp(span.onset_s, 0, durationS)), offset_s: round(clamp(span.offset_s, 0, durationS)), label };
    if (row.offset_s - row.onset_s < SHORTEST_S) return;
    candidate = null;
    changed([...labels, row]);
    select(labels.indexOf(row));
  }

  const chosenText = () => byId("label-text").value.trim() || "keyword";

  function nudge(end, by) {
    if (selected < 0) return;
    const row = { ...labels[selected] };
    if (end) row.offset_s = round(clamp(row.offset_s + by, row.onset_s + SHORTEST_S, durationS));
    else row.onset_s = round(clamp(row.onset_s + by, 0, row.offset_s - SHORTEST_S));
    const rows = labels.with(selected, row);
    changed(rows);
    selected = labels.indexOf(row);
    show();
  }

  function remove() {
    if (selected < 0) return;
    const rows = labels.toSpliced(selected, 1);
    selected = -1;
    changed(rows);
    view.focus({ preventScroll: true });
  }

  // The mouse: a new stretch over the picture, or an edge of one that is there.
  function secondAt(event) {
    const box = view.getBoundingClientRect();
    return clamp(from + (to() - from) * (event.clientX - box.left) / box.width, 0, durationS);
  }

  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !name) return;
    const box = event.target.closest(".span.label");
    const begin = secondAt(event), near = 8 * (to() - from) / view.clientWidth;
    let fixed = begin, index = -1;
    if (box) {
      index = Number(box.dataset.index);
      select(index);
      const label = labels[index];
      if (Math.abs(begin - label.onset_s) <= near) fixed = label.offset_s;
      else if (Math.abs(begin - label.offset_s) <= near) fixed = label.onset_s;
      else return;
    }
    event.preventDefault();
    view.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const time = secondAt(moved);
      candidate = { onset_s: Math.min(fixed, time), offset_s: Math.max(fixed, time) };
      show();
    };
    const drop = (dropped) => {
      view.removeEventListener("pointermove", move);
      view.removeEventListener("pointerup", drop);
      view.removeEventListener("pointercancel", drop);
      const end = secondAt(dropped), drag = Math.abs(end - begin) > near / 2;
      candidate = null;
      if (dropped.type === "pointercancel" || !drag) { if (index < 0) { selected = -1; playFrom(begin); } show(); return; }
      const edges = [index < 0 ? snap(fixed, dropped.altKey) : fixed, snap(end, dropped.altKey)].sort((a, b) => a - b);
      const span = { onset_s: edges[0], offset_s: edges[1] };
      if (index < 0) { add(span, chosenText()); return; }
      if (span.offset_s - span.onset_s < SHORTEST_S) { show(); return; }
      const row = { ...labels[index], onset_s: round(span.onset_s), offset_s: round(span.offset_s) };
      changed(labels.with(index, row));
      select(labels.indexOf(row));
    };
    view.addEventListener("pointermove", move);
    view.addEventListener("pointerup", drop);
    view.addEventListener("pointercancel", drop);
  });

  // Playing: a stretch at a time, so that any format of recording can be heard.
  function play(begin, end) {
    playing = { begin, end };
    audio.src = `/api/sound?${new URLSearchParams({ name, from_s: begin.toFixed(3), to_s: Math.max(begin + 0.02, end).toFixed(3) })}`;
    audio.play();
  }

  const playFrom = (time) => play(time, Math.max(time + 0.02, to()));

  function playOrPause() {
    if (!audio.paused) { audio.pause(); return; }
    const span = candidate || (selected >= 0 ? labels[selected] : { onset_s: from, offset_s: to() });
    play(span.onset_s, span.offset_s);
  }

  const head = view.querySelector(".playhead");
  audio.addEventListener("play", function follow() {
    if (playing) head.style.left = `${100 * (playing.begin + audio.currentTime - from) / (to() - from)}%`;
    if (!audio.paused) requestAnimationFrame(follow);
  });

  async function open(wanted) {
    clearTimeout(timer);
    timer = null;
    if (unsaved) await save();
    audio.pause();
    name = wanted;
    labels = [];
    proposals = [];
    done = [];
    undone = [];
    selected = -1;
    candidate = null;
    unsaved = false;
    byId("label-conflict").hidden = true;
    state("opening …");
    try {
      const found = await ask("/api/recording", { name });
      if (name !== wanted) return;
      ({ revision, labels } = found);
      durationS = found.duration_s;
      width = Math.min(20, durationS);
      byId("label-position").max = Math.max(0, durationS - width);
      if (labels.length) byId("label-text").value = labels[0].label;
      state(`${durationS.toFixed(1)} s, ${labels.length} labels`);
      trouble("");
      from = 0;
      showStretch();
    } catch (error) {
      name = "";
      state("");
      trouble(error.message);
      show();
    }
  }

  function judge(accepted) {
    const one = proposals.shift();
    if (!one) return;
    const near = active.find((span) => span[0] < one.offset_s && span[1] > one.onset_s);
    if (accepted) add(near ? { onset_s: near[0], offset_s: near[1] } : one, one.label);
    if (proposals.length) reveal(proposals[0]);
    show();
  }

  const actions = {
    "label-play": playOrPause, "label-in": () => zoom(0.5), "label-out": () => zoom(2),
    "label-previous": () => walk(-1), "label-next": () => walk(1), "label-add": () => candidate && add(candidate, chosenText()), "label-remove": remove,
    "label-undo": () => goBack(done, undone), "label-redo": () => goBack(undone, done),
    "label-accept": () => judge(true), "label-reject": () => judge(false), "label-theirs": () => settle(false), "label-mine": () => settle(true),
    "label-propose": async () => {
      state("listening …");
      try {
        proposals = (await ask("/api/proposals", { name }, { method: "POST" })).filter((one) => !labels.some((label) => label.label === one.label && label.onset_s < one.offset_s && label.offset_s > one.onset_s));
        state(`${proposals.length} proposals`);
        if (proposals.length) reveal(proposals[0]);
        show();
      } catch (error) { state(""); trouble(error.message); }
    },
  };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
  byId("label-position").addEventListener("input", () => go(Number(byId("label-position").value)));
  byId("label-recording").addEventListener("change", () => open(byId("label-recording").value));
  byId("label-text").addEventListener("change", () => {
    if (selected < 0 || labels[selected].label === chosenText()) return;
    const row = { ...labels[selected], label: chosenText() };
    changed(labels.with(selected, row));
    select(labels.indexOf(row));
  });

  const keys = { " ": playOrPause, n: () => walk(1), p: () => walk(-1), Enter: actions["label-add"], Delete: remove, Backspace: remove,
    "[": () => nudge(false, -NUDGE_S), "]": () => nudge(false, NUDGE_S), "{": () => nudge(true, -NUDGE_S), "}": () => nudge(true, NUDGE_S),
    ArrowLeft: () => go(from - width / 2), ArrowRight: () => go(from + width / 2), "+": () => zoom(0.5), "-": () => zoom(2), a: () => judge(true), x: () => judge(false) };
  document.addEventListener("keydown", (key) => {
    if (byId("room-label").hidden || /^(INPUT|SELECT|SUMMARY)$/.test(key.target.tagName) || key.altKey) return;
    const control = key.ctrlKey || key.metaKey;
    const action = control ? { z: actions["label-undo"], y: actions["label-redo"] }[key.key] : keys[key.key];
    if (!action || (key.target.closest(".buttons, #label-list, nav") && /^( |Enter)$/.test(key.key))) return;
    key.preventDefault();
    action();
  });
  addEventListener("beforeunload", (event) => { if (unsaved || saving) event.preventDefault(); });

  return {
    enter: async () => {
      try {
        const { recordings, model } = await ask("/api/recordings");
        byId("label-propose").hidden = !model;
        byId("label-recording").replaceChildren(...recordings.map((one) => make("option", { value: one.name, textContent: one.labelled ? `${one.name} (labels)` : one.name })));
        if (!recordings.length) state("no recordings below this folder");
        else if (recordings.some((one) => one.name === name)) byId("label-recording").value = name;
        else open(recordings[0].name);
      } catch (error) { trouble(error.message); }
    },
    leave: () => { audio.pause(); if (unsaved) save(); },
  };
})();
