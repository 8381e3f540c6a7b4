"use strict";
// Takes over the parts of a page that changed (elements with data-live), when the server says that something did.
// Without this file every page works; it then has to be loaded again by hand.
(() => {
  for (const form of document.querySelectorAll("form[data-go]")) {
    form.addEventListener("change", () => form.submit());
  }
  const from = document.body.dataset.events;
  if (!from || !window.EventSource) return;
  const STOPS = "a[href], button, input, select, textarea, summary, [tabindex]";
  let busy = false;
  let again = false;

  const takeOver = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    const active = document.activeElement;
    if (old.contains(active) && active.matches("input, select, textarea")) return;
    if ([...old.querySelectorAll("textarea")].some((area) => area.value)) return; // what somebody has typed stays
    const at = [...old.querySelectorAll(STOPS)].indexOf(active);
    const chosen = new Set([...old.querySelectorAll("input:checked")].map((box) => box.value));
    for (const box of fresh.querySelectorAll("input[type=checkbox]")) box.checked = chosen.has(box.value);
    old.replaceWith(document.adoptNode(fresh));
    if (at >= 0) fresh.querySelectorAll(STOPS)[at]?.focus({ preventScroll: true }); // who goes by keyboard stays there
  };

  const refresh = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (document.getElementById("reading") && !page.getElementById("reading")) location.reload();
      for (const fresh of page.querySelectorAll("[data-live]")) {
        const old = document.getElementById(fresh.id);
        if (old) takeOver(old, fresh);
      }
    } catch {
      // the server is gone, or comes back: the event source tries again
    } finally {
      busy = false;
      if (again) {
        again = false;
        setTimeout(refresh, 500);
      }
    }
  };

  // A browser opens six connections to a host: a tab that nobody sees gives its own back.
  let events = null;
  const follow = () => {
    if (document.hidden) {
      events?.close();
      events = null;
    } else if (!events) {
      events = new EventSource(from);
      events.addEventListener("changed", refresh);
    }
  };
  document.addEventListener("visibilitychange", () => {
    follow();
    if (events) refresh();
  });
  follow();
})();
