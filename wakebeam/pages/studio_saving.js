// A recording's labels and their saving: soon after a change, one at a time, again until it has worked, never
// over another's. What can't be saved now is kept beside the labels as a draft.
const SAVING = (() => {
  const AFTER_MS = 400, RETRY_MS = 1500;
  const told = (of, why) => { of.why = why; SAVING.told(of); };
  const put = (path, name, tab, body) => ask(path, { name, tab }, { method: "PUT", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

  function toSave(of) {
    of.unsaved = true;
    of.saved = false;
    told(of, of.there ? of.why : "not saved yet");
    plan(of, AFTER_MS);
  }

  function plan(of, afterMs) {
    if (!of.timer && !of.saving) of.timer = setTimeout(() => save(of), afterMs);
  }

  function save(of) {
    clearTimeout(of.timer);
    of.timer = null;
    if (!of.saving && of.unsaved) {
      of.saving = send(of).then((again) => {
        of.saving = null;
        if (of.unsaved && again) plan(of, again);
      });
    }
    return of.saving;
  }

  // Returns after how many milliseconds to try again what is unsaved by then; 0: not before it changes.
  async function send(of) {
    const labels = JSON.stringify(of.labels), body = { revision: of.revision, labels: of.labels };
    of.unsaved = false;
    try {
      if (!of.there) {
        of.revision = (await put("api/labels", of.name, of.tab, body)).revision;
        of.saved = !of.unsaved;
        if (of.saved) told(of, "saved");
        return AFTER_MS;
      }
    } catch (error) {
      if (error.status === 409) of.there = error.body;
      of.refusal = error.status === 409 ? "not saved: changed elsewhere" : error.status === undefined ? "not saved: the studio doesn't answer; trying again" : `not saved: ${error.message}`;
      if (error.status === undefined || error.status >= 500) {
        of.unsaved = true;
        told(of, of.refusal);
        return RETRY_MS;
      }
    }
    of.unsaved = true;
    try {
      await put("api/draft", of.name, of.tab, { labels: JSON.parse(labels) });
      told(of, `${of.refusal}; kept as a draft`);
      return labels === JSON.stringify(of.labels) ? 0 : AFTER_MS;
    } catch (error) {
      told(of, `${of.refusal}, nor kept as a draft: ${error.message}; trying again`);
      return RETRY_MS;
    }
  }

  // Saves what there is to save; false if some of it can't be.
  async function settled(of) {
    while (of.saving) await of.saving;
    if (of.unsaved) await save(of);
    return !of.unsaved;
  }

  const dropDraft = (name, tab) => put("api/draft", name, tab, {});

  return {
    // Whatever is saved is saved of this object, whichever is shown by then.
    newDocument: (name, found) => ({ name, revision: found.revision, labels: found.labels, durationS: found.duration_s, channel: 0, numChannels: found.num_channels,
      drafts: found.drafts, tab: [...crypto.getRandomValues(new Uint8Array(4))].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
      done: [], undone: [], proposals: [], unsaved: false, saved: false, saving: null, timer: null, there: null, refusal: "", why: "" }),
    told: () => {}, toSave, save, settled, dropDraft,
    overwrite: (of) => {
      of.revision = of.there.revision;
      of.there = null;
      toSave(of);
    },
    // As the file is by now; an Error if it can't be read.
    takeTheirs: async (of) => {
      while (of.saving) await of.saving;
      const found = await ask("api/recording", { name: of.name });
      clearTimeout(of.timer);
      Object.assign(of, { timer: null, there: null, unsaved: false, revision: found.revision, labels: found.labels });
      told(of, "as it is there");
      await dropDraft(of.name, of.tab).catch(() => {});  // offered again, then
    },
  };
})();
