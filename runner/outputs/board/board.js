"use strict";
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const root = document.documentElement;
  const cards = all("[data-shot][data-tags]");
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)");
  root.classList.add("js");
  for (const tool of all(".tools, .large")) tool.hidden = false;

  const make = (name, props = {}, ...children) => {
    const made = Object.assign(document.createElement(name), props);
    made.append(...children);
    return made;
  };

  // Search and filter. A card's words are read once: its text says everything that can be searched for.
  const words = new WeakMap();
  const wordsOf = (card) => {
    if (!words.has(card)) words.set(card, card.textContent.toLowerCase());
    return words.get(card);
  };
  const search = one("#search");
  const filter = one("#filter");
  const sift = () => {
    const asked = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const tag = filter.value;
    let shown = 0;
    for (const card of cards) {
      const fits = (!tag || card.dataset.tags.split("|").includes(tag)) && asked.every((word) => wordsOf(card).includes(word));
      card.hidden = !fits;
      shown += fits;
    }
    for (const scene of all(".scene")) scene.hidden = !all("[data-tags]", scene).some((card) => !card.hidden);
    for (const link of all(".scenes a")) link.hidden = one(link.hash).hidden;
    one("#count").textContent = shown === cards.length ? "" : `${shown} of ${cards.length} shots`;
    one("#none").hidden = shown > 0;
  };
  search.addEventListener("input", sift);
  filter.addEventListener("change", sift);

  // Cards that were never in sight have a guessed height: what a link leads to is gone to until it stays where it is.
  const arrive = (target, tries = 20) => {
    target.scrollIntoView();
    const { top } = target.getBoundingClientRect();
    const look = () => tries && target.getBoundingClientRect().top !== top && arrive(target, tries - 1);
    requestAnimationFrame(() => requestAnimationFrame(look));
  };
  const lead = (hash) => {
    const target = hash && document.getElementById(hash.slice(1));
    if (!target) return;
    requestAnimationFrame(() => { // after the browser's own way, which takes the focus away
      const card = target.matches(".scene") ? all("[data-tags]", target).find((one) => !one.hidden) : target;
      card?.focus({ preventScroll: true });
      arrive(target);
    });
  };
  for (const link of all(".scenes a, .alike a")) link.addEventListener("click", () => lead(link.hash));
  lead(location.hash);

  // Dark or light: the machine's way until somebody says otherwise. A page from a file may have no storage.
  const kept = (value) => {
    try {
      return value ? localStorage.setItem("callsheet-theme", value) : localStorage.getItem("callsheet-theme");
    } catch {
      return null;
    }
  };
  if (kept()) root.dataset.theme = kept();
  one("#theme").addEventListener("click", () => {
    const isDark = (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    root.dataset.theme = isDark ? "light" : "dark";
    kept(root.dataset.theme);
  });

  // Play in place: for a glance under the pointer or the focus, in earnest (with sound) on a click.
  let glance = null;
  const stop = (frame) => {
    clearTimeout(glance);
    for (const video of all("video", frame)) {
      video.pause();
      video.removeAttribute("src");
      video.load(); // lets go of the file
      video.remove();
    }
    for (const note of all(".what.now", frame)) note.remove();
  };
  const play = (link, inEarnest) => {
    const frame = one(".frame", link.closest(".card, .side"));
    stop(frame);
    const video = make("video", { loop: true, muted: !inEarnest, playsInline: true, controls: inEarnest, src: link.href });
    video.setAttribute("aria-label", link.dataset.take);
    frame.prepend(video);
    if (link.closest(".takes")) frame.append(make("span", { className: "what now", textContent: link.dataset.take }));
    video.addEventListener("error", () => {
      if (!video.isConnected) return;
      stop(frame);
      frame.append(make("span", { className: "what now", textContent: `${link.dataset.take} cannot be played: has its file moved?` }));
    });
    video.play().catch(() => {}); // refused, or gone already: the poster stays
    if (inEarnest) video.focus();
  };
  const links = ".play, a.thumb";
  const frameOf = (link) => one(".frame", link.closest(".card, .side"));
  const inEarnest = (frame) => one("video[controls]", frame);
  for (const link of all(links)) {
    const begin = () => {
      clearTimeout(glance);
      if (!isCalm.matches && !inEarnest(frameOf(link))) glance = setTimeout(() => play(link, false), 150);
    };
    const end = () => {
      clearTimeout(glance);
      if (!inEarnest(frameOf(link))) stop(frameOf(link));
    };
    link.addEventListener("focus", () => link.matches(":focus-visible") && begin());
    link.addEventListener("blur", end);
    const area = link.matches(".play") ? link.parentElement : link; // the video covers the link
    area.addEventListener("pointerenter", begin);
    area.addEventListener("pointerleave", end);
    area.addEventListener("click", (event) => {
      if (event.target.closest("button, video[controls]") || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      play(link, true);
    });
  }

  // Takes that are ticked: one a shot, and the line that picks them.
  const ticked = new Map();
  const boxes = all(".tick input");
  const line = () => [document.body.dataset.before, ...ticked.values()].join(" ") + document.body.dataset.after;
  const tick = (shot, take) => {
    if (ticked.get(shot) === take) ticked.delete(shot);
    else ticked.set(shot, take);
    for (const box of boxes) {
      box.checked = ticked.get(box.dataset.shot) === box.value;
      box.closest(".take").classList.toggle("ticked", box.checked);
    }
    one("#bar").hidden = ticked.size === 0;
    one("#line").textContent = ticked.size ? line() : "";
    one("#copied").textContent = "";
  };
  for (const box of boxes) box.addEventListener("change", () => tick(box.dataset.shot, box.value));
  one("#clear").addEventListener("click", () => {
    for (const [shot, take] of [...ticked]) tick(shot, take);
  });
  one("#copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(line());
    } catch {
      getSelection().selectAllChildren(one("#line")); // no clipboard here: selected, it is one key away
      document.execCommand("copy");
    }
    one("#copied").textContent = "copied";
  });

  // One shot large, its takes side by side and in step.
  const stage = one("#stage");
  let staged = null;
  const screen = (card, link) => {
    const take = link.dataset.take;
    const item = all(".take", card).find((found) => found.dataset.take === take);
    const side = link.closest(".side"); // on the page of changes
    const facts = side ? one(".facts", side) : all(".facts", card).find((found) => found.dataset.of === take);
    const video = make("video", { loop: true, muted: true, playsInline: true, controls: true, src: link.href });
    const figure = make("figure", { className: item?.classList.contains("picked") ? "picked" : "", tabIndex: -1 });
    figure.dataset.take = take;
    const said = item ? one(".row", item) : side && one(".side-name", side);
    const words = said ? said.cloneNode(true) : make("span", { className: "key", textContent: take });
    const caption = make("figcaption", {}, words);
    const box = item && one(".tick input", item);
    if (box) {
      const own = make("input", { type: "checkbox", checked: box.checked });
      figure.classList.toggle("ticked", box.checked);
      own.addEventListener("change", () => {
        tick(box.dataset.shot, box.value);
        for (const other of all("figure", stage)) other.classList.toggle("ticked", ticked.get(box.dataset.shot) === other.dataset.take);
        for (const other of all("figure input", stage)) other.checked = other.closest("figure").classList.contains("ticked");
      });
      caption.append(" ", make("label", { className: "tick" }, own, " pick"));
    }
    if (facts) caption.append(facts.cloneNode(true));
    figure.append(video, caption);
    return figure;
  };
  const open = (card) => {
    const seen = all("a.thumb", card);
    const shown = seen.length ? seen : all(".play", card);
    if (!shown.length) return;
    for (const frame of all(".frame", card)) stop(frame);
    staged = card;
    const close = make("button", { type: "button", textContent: "close" });
    close.addEventListener("click", () => stage.close());
    const prompt = one(".prompt", card);
    const screens = make("div", { className: "screens" }, ...shown.map((link) => screen(card, link)));
    one(".stage", stage).replaceChildren(
      make("header", {}, make("h2", { id: "stage-name", textContent: card.dataset.shot }), close),
      ...(prompt ? [prompt.cloneNode(true)] : []),
      screens,
      make("footer", { textContent: `space: play or hold all · ← → ${card.matches(".change") ? "then, now" : "takes · p pick"} · j k shots · Esc close` }),
    );
    if (!stage.open) stage.showModal();
    const first = one("figure.picked", stage) || one("figure", stage);
    first.focus();
    if (!isCalm.matches) together();
  };
  const together = () => {
    const videos = all("video", stage);
    const isHeld = videos.every((video) => video.paused);
    for (const video of videos) {
      if (isHeld) {
        video.currentTime = 0;
        video.play().catch(() => {});
      } else video.pause();
    }
  };
  stage.addEventListener("close", () => {
    for (const video of all("video", stage)) video.removeAttribute("src");
    one(".stage", stage).replaceChildren();
    staged?.focus();
  });
  for (const button of all(".large")) button.addEventListener("click", () => open(button.closest(".card, .change")));
  for (const part of all(".card details")) {
    part.addEventListener("toggle", () => part.closest(".card").classList.toggle("open", part.open));
  }

  // Keys.
  const step = (list, now, by) => list[Math.min(list.length - 1, Math.max(0, now < 0 ? 0 : now + by))];
  const shotBy = (by) => {
    const visible = cards.filter((card) => !card.hidden);
    const here = stage.open ? staged : document.activeElement.closest("[data-shot][data-tags]");
    const next = step(visible, visible.indexOf(here), by);
    if (!next) return;
    if (stage.open) open(next);
    next.scrollIntoView({ block: "nearest" });
    if (!stage.open) next.focus();
  };
  const takeBy = (by) => {
    const card = document.activeElement.closest(".card, .change");
    const list = stage.open ? all("figure", stage) : card ? all(links, card) : [];
    step(list, list.indexOf(document.activeElement.closest("figure, a")), by)?.focus();
  };
  const pickHere = () => {
    const place = document.activeElement.closest("figure, .take") || document.activeElement.closest(".card");
    const inputs = place ? all("input[type=checkbox]", place) : [];
    const take = document.activeElement.dataset.take;
    const box = inputs.find((input) => input.value === take) || (inputs.length === 1 ? inputs[0] : null);
    box?.click();
  };
  const keys = {
    j: () => shotBy(1),
    k: () => shotBy(-1),
    ArrowRight: () => takeBy(1),
    ArrowLeft: () => takeBy(-1),
    p: pickHere,
    "/": () => stage.open || (search.focus(), search.select()),
    " ": () => stage.open && together(),
    Enter: () => open(document.activeElement),
  };
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape" && at === search) {
      search.value = "";
      sift();
      search.blur();
    }
    if (event.key === "Escape" && inEarnest(at.closest?.(".frame") || document.createElement("div"))) {
      const card = at.closest(".card, .change");
      stop(at.closest(".frame"));
      card?.focus();
    }
    if (at.matches("input:not([type=checkbox]), select, textarea") || !Object.hasOwn(keys, event.key)) return;
    if (event.key === "Enter" && !at.matches(".card, .change")) return;
    if (event.key === " " && !(stage.open && !at.matches("button, input, video, summary"))) return;
    if (event.key.startsWith("Arrow") && at.matches("video")) return;
    event.preventDefault();
    keys[event.key]();
  });
})();
