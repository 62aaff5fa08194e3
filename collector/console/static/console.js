// Instants in the reader's own zone, and whether the page is live. Everything can be read without.
"use strict";

(() => {
  const page = document.documentElement.lang;
  const locale = navigator.language.startsWith(page) ? navigator.language : page + "-GB";
  const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
  const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
  const year = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric" });
  const exact = new Intl.DateTimeFormat(locale, {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "long" });
  const ago = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });
  const MINUTE = 60, HOUR = 3600, HALF_DAY = 43200;

  function tell(at, now) {
    const seconds = (now - at) / 1000;
    if (seconds < MINUTE) return seconds < -MINUTE ? full.format(at) : "just now";
    if (seconds < HOUR) return ago.format(-Math.floor(seconds / MINUTE), "minute");
    if (seconds < HALF_DAY) return ago.format(-Math.round(seconds / HOUR), "hour");
    return (at.getFullYear() === now.getFullYear() ? day : year).format(at) + ", " + clock.format(at);
  }

  function localise(root) {
    const now = new Date();
    for (const element of root.querySelectorAll("time[datetime*=T]")) {
      const at = new Date(element.dateTime);
      const text = "exact" in element.dataset ? exact.format(at) : tell(at, now);
      if (element.textContent !== text) element.textContent = text;
      element.title = full.format(at);
    }
  }

  function showLive(live, state, words) {
    live.dataset.state = state;
    live.querySelector(".live-words").textContent = words;
  }

  localise(document);
  setInterval(() => localise(document), 20_000);
  document.addEventListener("htmx:after:swap", () => localise(document));

  // The reader's own zone can be chosen; the server does not know it.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const list of document.querySelectorAll("select[data-zones]")) {
    if (zone && ![...list.options].some((one) => one.value === zone)) list.add(new Option(zone, zone));
  }

  const live = document.getElementById("live");
  if (live !== null) {
    live.addEventListener("htmx:sse:after:connection", () => showLive(live, "on", "Live"));
    live.addEventListener("htmx:sse:error", (event) => {
      if (event.detail.status === 401) location.reload();
      showLive(live, "off", "Connecting…");
    });
    live.addEventListener("htmx:sse:close", () => showLive(live, "off", "Load again for news"));
  }
})();
