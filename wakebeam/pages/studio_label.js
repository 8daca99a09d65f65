ROOMS.label = (() => {
  const SNAP_S = 0.15, SNAP_PX = 16, NUDGE_S = 0.01, SHORTEST_S = 0.02, MOST_UNDO = 200;
  const view = byId("label-view"), spans = view.querySelector(".spans"), audio = byId("label-audio");
  const head = view.querySelector(".playhead");
  let doc = null, opening = 0, proposing = false, known = [];
  let from = 0, width = 20, active = [], selected = -1, candidate = null, playing = null, stretchAsked = 0;

  const state = (text) => { byId("label-state").textContent = text; };
  const to = () => Math.min(doc.durationS, from + width);
  const clamp = (x, low, high) => Math.max(low, Math.min(high, x));
  const round = (x) => Math.round(1000 * x) / 1000;
  const sorted = (rows) => rows.sort((a, b) => a.onset_s - b.onset_s || a.offset_s - b.offset_s);

  function changed(rows) {
    doc.done = [...doc.done.slice(1 - MOST_UNDO), JSON.stringify(doc.labels)];
    doc.undone = [];
    doc.labels = sorted(rows);
    toSave();
  }

  function toSave() {
    SAVING.toSave(doc);
    show();
  }

  // What became of saving: of the recording that is shown.
  SAVING.told = (of) => {
    if (of.saved) nameOption(of.name, true);
    if (of !== doc) return;
    state(of.why);
    byId("label-conflict").hidden = !of.there;
    if (of.there) byId("label-wrong").textContent = of.there.wrong ? `It can't be read as labels now: ${of.there.wrong}` : "";
  };

  function nameOption(name, labelled) {
    const option = [...byId("label-recording").options].find((one) => one.value === name);
    if (option) option.textContent = labelled ? `${name} (labels)` : name;
  }

  async function settle(mine) {
    const of = doc;
    if (mine) {
      SAVING.overwrite(of);
      show();
    } else {
      const before = JSON.stringify(of.labels);
      try { await SAVING.takeTheirs(of); } catch (error) { trouble(error.message); return; }
      of.done.push(before);
      of.undone = [];
      if (of !== doc) return;
      selected = -1;
      candidate = null;
      show();
    }
    view.focus({ preventScroll: true });
  }

  // Drafts that were found when the recording was opened, one after the other.
  function showDraft() {
    const [draft] = doc.drafts;
    byId("label-draft").hidden = !draft;
    if (draft) byId("label-draft-text").textContent = `Labels of ${new Date(1000 * draft.at_s).toLocaleString()} were never saved: ${draft.labels.length} of them, ${doc.labels.length} are in the file.`;
  }

  function judgeDraft(taken) {
    const draft = doc.drafts.shift();
    if (taken) {
      doc.tab = draft.tab;
      selected = -1;
      candidate = null;
      changed(draft.labels);
    } else SAVING.dropDraft(doc.name, draft.tab).catch((error) => trouble(error.message));
    showDraft();
    view.focus({ preventScroll: true });
  }

  function goBack(taken, given) {
    if (!taken.length) return;
    given.push(JSON.stringify(doc.labels));
    doc.labels = JSON.parse(taken.pop());
    selected = -1;
    candidate = null;
    toSave();
  }

  // Showing.
  function place(element, span) {
    element.style.left = `${100 * (span.onset_s - from) / (to() - from)}%`;
    element.style.width = `${100 * (span.offset_s - span.onset_s) / (to() - from)}%`;
    return element;
  }

  const visible = (span) => span.offset_s > from && span.onset_s < to();
  const texts = () => [...new Set(doc.labels.map((one) => one.label))].sort();
  const DEFAULT = "keyword";

  function showSpans() {
    const colours = texts(), focused = document.activeElement && document.activeElement.dataset.index;
    const boxes = doc.labels.map((label, i) => [label, i]).filter(([label]) => visible(label)).map(([label, i]) => {
      const box = place(make("button", { type: "button", className: `span label${i === selected ? " selected" : ""}` }, make("b", { textContent: label.label })), label);
      box.style.borderColor = COLOURS[colours.indexOf(label.label) % COLOURS.length];
      box.setAttribute("aria-label", `${label.label} from ${label.onset_s} to ${label.offset_s} seconds`);
      box.dataset.index = i;
      box.addEventListener("focus", () => { if (selected !== i) select(i); });
      return box;
    });
    const more = doc.proposals.filter(visible).map((one) => place(make("div", { className: `span other proposal${one === doc.proposals[0] ? " selected" : ""}` }, make("b", { textContent: `${one.label}? ${one.score}` })), one));
    if (candidate && visible(candidate)) more.push(place(make("div", { className: "span candidate" }), candidate));
    spans.replaceChildren(...boxes, ...more);
    const again = focused !== undefined && spans.querySelector(`[data-index="${selected}"]`);
    if (again) again.focus({ preventScroll: true });
    byId("label-undo").disabled = !doc.done.length;
    byId("label-redo").disabled = !doc.undone.length;
    byId("label-remove").disabled = selected < 0;
    byId("label-add").disabled = !candidate;
    byId("label-accept").hidden = byId("label-reject").hidden = !doc.proposals.length;
    byId("label-propose").disabled = proposing;
  }

  function show() {
    showSpans();
    byId("label-texts").replaceChildren(...[...new Set([...texts(), ...known])].map((value) => make("option", { value })));
    byId("label-list").replaceChildren(...doc.labels.map((label, i) => make("li", {}, make("button", { type: "button", textContent: `${label.onset_s.toFixed(3)} – ${label.offset_s.toFixed(3)} s · ${label.label}`, onclick: () => { select(i); reveal(label); } }))));
  }

  async function showStretch() {
    byId("label-position").max = Math.max(0, doc.durationS - width);
    byId("label-position").value = from;
    byId("label-axis").replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((share) => make("span", { textContent: `${(from + share * (to() - from)).toFixed(2)} s` })));
    showSpans();
    const number = ++stretchAsked;
    try {
      const found = await ask("api/stretch", { name: doc.name, from_s: from.toFixed(3), to_s: to().toFixed(3), channel: doc.channel });
      if (number !== stretchAsked) return;
      waveform(view.querySelector("canvas"), found.lows, found.highs);
      view.querySelector("img").src = found.picture;
      active = found.active;
      view.dataset.shown = doc.name;
    } catch (error) {
      if (number === stretchAsked) trouble(error.message);
    }
  }

  function go(at) {
    from = clamp(at, 0, Math.max(0, doc.durationS - width));
    showStretch();
  }

  function zoom(factor) {
    const middle = candidate ? candidate.onset_s : selected >= 0 ? doc.labels[selected].onset_s : (from + to()) / 2;
    width = clamp(width * factor, 1, Math.min(120, Math.max(1, doc.durationS)));
    go(middle - width / 2);
  }

  function reveal(span) {
    if (span.onset_s < from || span.offset_s > to()) go(span.onset_s - width / 4);
    else showSpans();
  }

  function select(i) {
    selected = i;
    candidate = null;
    byId("label-text").value = doc.labels[i].label;
    showSpans();
  }

  // Snapping: to where sound begins and ends.
  function snap(time, free) {
    if (free) return time;
    const near = Math.max(SNAP_S, SNAP_PX * (to() - from) / view.clientWidth);
    const edges = active.flat().filter((edge) => Math.abs(edge - time) <= near);
    return edges.sort((a, b) => Math.abs(a - time) - Math.abs(b - time))[0] ?? time;
  }

  // To the next sound without a label, or the one before.
  async function walk(step) {
    const of = doc, here = candidate || of.labels[selected];
    const now = here && visible(here) ? here.onset_s : step > 0 ? from - 1e-6 : to();
    const taken = (span) => of.labels.some((label) => label.onset_s < span[1] && label.offset_s > span[0]);
    for (;;) {
      const rest = active.filter((span) => !taken(span) && (step > 0 ? span[0] > now + 1e-6 : span[0] < now - 1e-6));
      const found = rest[step > 0 ? 0 : rest.length - 1];
      if (found) {
        candidate = { onset_s: found[0], offset_s: found[1] };
        selected = -1;
        showSpans();
        return;
      }
      const next = clamp(from + step * width * 0.9, 0, Math.max(0, of.durationS - width));
      if (next === from) return;
      from = next;
      await showStretch();
      if (of !== doc) return;
    }
  }

  // Whether a label can be there: two stretches of one label can't be told apart, nor saved, where they overlap.
  function fits(row, but) {
    const other = doc.labels.find((one, i) => i !== but && one.label === row.label && one.onset_s < row.offset_s && one.offset_s > row.onset_s);
    trouble(other ? `not labelled: it overlaps “${row.label}” from ${other.onset_s} to ${other.offset_s} s; change that one, or give one of them another label` : "");
    return !other;
  }

  // False if it overlaps another.
  function add(span, label) {
    const row = { onset_s: round(clamp(span.onset_s, 0, doc.durationS)), offset_s: round(clamp(span.offset_s, 0, doc.durationS)), label };
    candidate = null;
    if (row.offset_s - row.onset_s < SHORTEST_S) return true;
    if (!fits(row, -1)) { showSpans(); return false; }
    changed([...doc.labels, row]);
    select(doc.labels.indexOf(row));
    return true;
  }

  const chosenText = () => byId("label-text").value.trim().replace(/\s+/g, " ") || DEFAULT;

  function replaceSelected(row) {
    if (!fits(row, selected)) { select(selected); return; }
    changed(doc.labels.with(selected, row));
    select(doc.labels.indexOf(row));
  }

  function nudge(end, by) {
    if (selected < 0) return;
    const row = { ...doc.labels[selected] };
    if (end) row.offset_s = round(clamp(row.offset_s + by, row.onset_s + SHORTEST_S, doc.durationS));
    else row.onset_s = round(clamp(row.onset_s + by, 0, row.offset_s - SHORTEST_S));
    replaceSelected(row);
  }

  function remove() {
    if (selected < 0) return;
    const rows = doc.labels.toSpliced(selected, 1);
    selected = -1;
    changed(rows);
    view.focus({ preventScroll: true });
  }

  // The mouse: a new stretch over the picture, or an edge of one that is there.
  function secondAt(event) {
    const box = view.getBoundingClientRect();
    return clamp(from + (to() - from) * (event.clientX - box.left) / box.width, 0, doc.durationS);
  }

  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !doc) return;
    const of = doc, box = event.target.closest(".span.label");
    const begin = secondAt(event), near = 8 * (to() - from) / view.clientWidth;
    let fixed = begin, index = -1;
    if (box) {
      index = Number(box.dataset.index);
      select(index);
      const label = doc.labels[index];
      if (Math.abs(begin - label.onset_s) <= near) fixed = label.offset_s;
      else if (Math.abs(begin - label.offset_s) <= near) fixed = label.onset_s;
      else return;
    }
    event.preventDefault();
    view.setPointerCapture(event.pointerId);
    const move = (moved) => {
      const time = secondAt(moved);
      candidate = { onset_s: Math.min(fixed, time), offset_s: Math.max(fixed, time) };
      showSpans();
    };
    const drop = (dropped) => {
      for (const [name, does] of [["pointermove", move], ["pointerup", drop], ["pointercancel", drop]]) view.removeEventListener(name, does);
      if (of !== doc) return;
      const end = secondAt(dropped);
      candidate = null;
      if (dropped.type === "pointercancel" || Math.abs(end - begin) <= near / 2) {
        if (index < 0 && dropped.type !== "pointercancel") { selected = -1; play(begin, to()); }
        showSpans();
        return;
      }
      const [onset_s, offset_s] = [index < 0 ? snap(fixed, dropped.altKey) : fixed, snap(end, dropped.altKey)].sort((a, b) => a - b);
      if (index < 0) add({ onset_s, offset_s }, chosenText());
      else if (offset_s - onset_s >= SHORTEST_S) { selected = index; replaceSelected({ ...doc.labels[index], onset_s: round(onset_s), offset_s: round(offset_s) }); }
      else showSpans();
    };
    for (const [name, does] of [["pointermove", move], ["pointerup", drop], ["pointercancel", drop]]) view.addEventListener(name, does);
  });

  // Playing: a stretch at a time, so that any format of recording can be heard.
  function play(begin, end) {
    playing = { begin };
    audio.src = `api/sound?${new URLSearchParams({ name: doc.name, from_s: begin.toFixed(3), to_s: Math.max(begin + 0.02, end).toFixed(3), channel: doc.channel })}`;
    audio.play().catch(() => {});
  }

  function playOrPause() {
    if (!audio.paused) { audio.pause(); return; }
    const span = candidate || doc.labels[selected] || { onset_s: from, offset_s: to() };
    play(span.onset_s, Math.min(span.offset_s, span.onset_s + 120));
  }

  audio.addEventListener("play", function follow() {
    if (playing && doc) head.style.left = `${100 * (playing.begin + audio.currentTime - from) / (to() - from)}%`;
    if (!audio.paused) requestAnimationFrame(follow);
  });

  async function open(wanted) {
    const number = ++opening;
    if (doc && !await SAVING.settled(doc)) {
      byId("label-recording").value = doc.name;
      trouble(`${doc.name} isn't saved (${doc.why.replace(/^not saved: /, "")}): settle that first`);
      return;
    }
    if (number !== opening) return;
    audio.pause();
    state("opening …");
    try {
      const found = SAVING.newDocument(wanted, await ask("api/recording", { name: wanted }));
      if (number !== opening) return;
      doc = found;
      proposing = false;
      selected = -1;
      candidate = null;
      active = [];
      from = 0;
      width = Math.min(20, doc.durationS);
      byId("label-conflict").hidden = true;
      showDraft();
      if (doc.labels.length) byId("label-text").value = doc.labels[0].label;
      byId("label-channels").hidden = doc.numChannels === 1;
      byId("label-channel").replaceChildren(...Array.from({ length: doc.numChannels + 1 }, (_, i) => make("option", { value: i, textContent: i ? `${i} of ${doc.numChannels}` : "all mixed" })));
      state(`${doc.durationS.toFixed(1)} s, ${doc.labels.length} labels`);
      trouble("");
      show();
      showStretch();
    } catch (error) {
      if (number !== opening) return;
      state("");
      trouble(error.message);
      if (doc) byId("label-recording").value = doc.name;
    }
  }

  async function propose() {
    const of = doc;
    proposing = true;
    state("listening …");
    showSpans();
    try {
      const found = await ask("api/proposals", { name: of.name }, { method: "POST" });
      of.proposals = found.filter((one) => !of.labels.some((label) => label.label === one.label && label.onset_s < one.offset_s && label.offset_s > one.onset_s));
      if (of === doc) state(`${of.proposals.length} proposals`);
      if (of === doc && of.proposals.length) reveal(of.proposals[0]);
    } catch (error) {
      if (of === doc) { state(""); trouble(error.message); }
    }
    if (of === doc) { proposing = false; showSpans(); }
  }

  function judge(accepted) {
    const [one] = doc.proposals;
    if (!one) return;
    const near = active.find((span) => span[0] < one.offset_s && span[1] > one.onset_s);
    if (accepted && !add(near ? { onset_s: near[0], offset_s: near[1] } : one, one.label)) return;
    doc.proposals.shift();
    if (doc.proposals.length) reveal(doc.proposals[0]);
    else showSpans();
  }

  const addCandidate = () => candidate && add(candidate, chosenText());
  const actions = {
    "label-play": playOrPause, "label-in": () => zoom(0.5), "label-out": () => zoom(2),
    "label-previous": () => walk(-1), "label-next": () => walk(1), "label-add": addCandidate, "label-remove": remove,
    "label-undo": () => goBack(doc.done, doc.undone), "label-redo": () => goBack(doc.undone, doc.done), "label-propose": propose,
    "label-accept": () => judge(true), "label-reject": () => judge(false), "label-theirs": () => settle(false), "label-mine": () => settle(true),
    "label-draft-take": () => judgeDraft(true), "label-draft-drop": () => judgeDraft(false),
  };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", (event) => {
    if (!doc) return;
    action();
    if (event.detail) view.focus({ preventScroll: true });  // by mouse: keys are the view's again
  });
  byId("label-position").addEventListener("input", () => doc && go(Number(byId("label-position").value)));
  byId("label-recording").addEventListener("change", () => open(byId("label-recording").value));
  byId("label-channel").addEventListener("change", () => {
    audio.pause();
    doc.channel = Number(byId("label-channel").value);
    candidate = null;
    showStretch();
  });
  byId("label-text").addEventListener("change", () => {
    if (doc && selected >= 0 && doc.labels[selected].label !== chosenText()) replaceSelected({ ...doc.labels[selected], label: chosenText() });
  });

  const keys = { " ": playOrPause, n: () => walk(1), p: () => walk(-1), Enter: addCandidate, Delete: remove, Backspace: remove,
    "[": () => nudge(false, -NUDGE_S), "]": () => nudge(false, NUDGE_S), "{": () => nudge(true, -NUDGE_S), "}": () => nudge(true, NUDGE_S),
    ArrowLeft: () => go(from - width / 2), ArrowRight: () => go(from + width / 2), "+": () => zoom(0.5), "-": () => zoom(2), a: () => judge(true), x: () => judge(false) };
  document.addEventListener("keydown", (key) => {
    if (!doc || byId("room-label").hidden || /^(INPUT|SELECT|SUMMARY)$/.test(key.target.tagName) || key.altKey) return;
    const action = key.ctrlKey || key.metaKey ? { z: actions["label-undo"], y: actions["label-redo"] }[key.key] : keys[key.key];
    const ownButton = key.target.closest("button:not(.span), a") && /^( |Enter)$/.test(key.key);
    if (!action || ownButton) return;
    key.preventDefault();
    action();
  });
  addEventListener("beforeunload", (event) => { if (doc && (doc.unsaved || doc.saving)) event.preventDefault(); });

  return {
    enter: async () => {
      try {
        const { recordings, labels, cut, elsewhere } = await ask("api/recordings");
        known = labels || [];
        byId("label-propose").hidden = !labels;
        if (known.length && !doc && byId("label-text").value === DEFAULT) byId("label-text").value = known[0];
        byId("label-recording").replaceChildren(...recordings.map((one) => make("option", { value: one.name, textContent: one.name })));
        for (const one of recordings) nameOption(one.name, one.labelled);
        byId("label-left-out").textContent = [cut && `the first ${recordings.length} recordings: for the others start the studio on a folder further down`,
          elsewhere && `links to files outside of the studio's folder are left out: ${elsewhere}`].filter(Boolean).join("; ");
        if (!recordings.length) state("no recordings below this folder");
        else if (doc && recordings.some((one) => one.name === doc.name)) byId("label-recording").value = doc.name;
        else open(recordings[0].name);
      } catch (error) { trouble(error.message); }
    },
    leave: () => { audio.pause(); if (doc) SAVING.save(doc); },
  };
})();
