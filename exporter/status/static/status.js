// Keeps the page fresh: fetches itself and changes only what differs, so that focus, selection and scrolling stay.
"use strict";

const POLL = 5000; // where nobody tells of changes
const SLOW_POLL = 15000; // where /api/v1/events does: for what is no change of state
const SHARE = 10; // a refresh that takes long is followed by a rest this many times as long
const LONGEST_ROUND = 130000;
const QUIET = 30000; // between two announcements
const SETTLE = 500; // milliseconds in which changes that come together become one refresh

const find = (id) => document.getElementById(id);
const form = find("filter");
let paused = false;
let told = false; // whether the server tells of changes
let events = null;
let timer = 0;
let fetching = null;
let changed = false; // a change was told, and its refresh is on the way
let asking = false; // a question is on the way, and no refresh may interrupt it
let announced = document.querySelector("h1").textContent;
let spoken = -QUIET; // when the last announcement was made

// `body` asks the exporter about a stream first; the page that it leads to is shown.
async function refresh(asked = false, body = null) {
  clearTimeout(timer);
  changed = false;
  asking = body !== null;
  fetching?.abort();
  const mine = (fetching = new AbortController());
  const started = performance.now();
  const limit = setTimeout(() => mine.abort(), asking ? LONGEST_ROUND : 20000);
  try {
    const settings = { method: body ? "POST" : "GET", body, signal: mine.signal, cache: "no-store" };
    const reply = await fetch(location.pathname + location.search, settings);
    if (body && reply.redirected) history.replaceState(null, "", reply.url.split("#")[0]);
    if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    if (!page.getElementById("verdict")) throw new Error("another page answered");
    if (fetching === mine && (asked || !paused)) show(page);
  } catch {
    if (fetching === mine && (asked || !paused)) stale();
  } finally {
    clearTimeout(limit);
    if (fetching === mine) {
      fetching = null;
      const missed = asking && changed;
      asking = false;
      if (missed) plan(SETTLE);
      else if (!changed) plan(Math.max(told ? SLOW_POLL : POLL, SHARE * (performance.now() - started)));
    }
  }
}

function plan(wait = told ? SLOW_POLL : POLL) {
  clearTimeout(timer);
  if (!paused && !document.hidden && !asking) timer = setTimeout(() => refresh(), wait);
}

function show(page) {
  const script = (one) => one.querySelector("script[src]").getAttribute("src");
  if (script(page) !== script(document)) return location.reload(); // the exporter was upgraded
  localise(page);
  const focused = document.activeElement;
  for (const part of page.querySelectorAll("[data-live]")) {
    const old = find(part.id);
    if (old) morph(old, part);
  }
  // A row that has moved loses the focus.
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  const now = document.querySelector("h1").textContent;
  if (now !== announced && performance.now() - spoken >= QUIET) announce((announced = now));
  document.title = page.title;
  find("favicon").href = page.getElementById("favicon").getAttribute("href");
  if (paused) pausedSince();
  else say("Up to date", "");
}

function announce(text) {
  spoken = performance.now();
  find("announce").textContent = text;
}

// Add the browser's own time to each one in UTC, unless they agree.
function localise(page) {
  for (const one of page.querySelectorAll("time")) {
    const at = new Date(one.dateTime);
    const offset = at.getTimezoneOffset();
    if (!offset || Number.isNaN(offset)) continue;
    const [day, time] = new Date(at - offset * 60000).toISOString().split(/[T.]/);
    const text = document.createElement("span");
    text.className = "local";
    const named = day === one.dateTime.slice(0, 10) ? "" : `${day} `;
    text.textContent = `/ ${named}${one.matches(".coming") ? time.slice(0, 5) : time}${one.id ? " local" : ""}`;
    one.append(text);
  }
}

function stale() {
  say(`No answer from the exporter; this is from ${find("as-of").textContent}`, "stale");
}

function pausedSince() {
  say(`Paused; this is from ${find("as-of").textContent}`, "paused");
}

function say(text, kind) {
  const line = find("live-text");
  if (line.textContent !== text) line.textContent = text;
  find("live").className = `live ${kind}`;
  if (kind === "stale") announce(text);
}

// Make `old` equal to `fresh`, keeping every node that can stay. Children are matched by id, else by place.
function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(document.importNode(fresh, true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = fresh.nodeValue;
    return;
  }
  // The reader folds and unfolds.
  const theirs = (name) => name === "open" && old.nodeName === "DETAILS";
  for (const { name } of [...old.attributes])
    if (!fresh.hasAttribute(name) && !theirs(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  morphChildren(old, fresh);
}

function morphChildren(old, fresh) {
  const wanted = new Set([...fresh.children].map((one) => one.id).filter(Boolean));
  const kept = new Map();
  for (const one of [...old.children]) {
    if (one.id && wanted.has(one.id)) kept.set(one.id, one);
    else if (one.id) one.remove();
  }
  let place = old.firstChild;
  for (const one of [...fresh.childNodes]) {
    const known = one.id && kept.get(one.id);
    if (known) {
      if (known !== place) old.insertBefore(known, place);
      place = known.nextSibling;
      morph(known, one);
    } else if (place && !place.id && !one.id) {
      const here = place;
      place = here.nextSibling;
      morph(here, one);
    } else {
      old.insertBefore(document.importNode(one, true), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// --- when to refresh ---

function listen() {
  const path = document.body.dataset.events;
  if (!path || events || paused || document.hidden) return;
  events = new EventSource(path);
  events.onopen = () => { told = true; };
  events.onerror = () => {
    const before = told;
    told = false;
    if (events?.readyState === EventSource.CLOSED) events = null;
    if (before) plan();
  };
  for (const name of ["message", "change", "playback"]) events.addEventListener(name, hurry);
}

function hurry() {
  if (changed) return;
  changed = true;
  plan(SETTLE);
}

function sleep() {
  clearTimeout(timer);
  fetching?.abort();
  fetching = null;
  events?.close();
  events = null;
  told = false;
}

function wake() {
  changed = false;
  listen();
  refresh();
}

document.addEventListener("visibilitychange", () => (document.hidden ? sleep() : paused || wake()));

find("pause").addEventListener("click", () => {
  paused = !paused;
  find("pause").setAttribute("aria-pressed", String(paused));
  if (paused) {
    sleep();
    pausedSince();
  } else {
    wake();
  }
});

// --- the filter, without reloading; its address can be shared ---

function filter() {
  const chosen = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    const usual = (name === "limit" && value === form.dataset.rows) || (name === "sort" && value === form.dataset.sort);
    if (value && !usual) chosen.append(name, value);
  }
  const query = chosen.toString();
  history.replaceState(null, "", location.pathname + (query ? `?${query}` : ""));
  refresh(true);
}

let typing = 0;
form.addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(filter, event.target.matches("[type=search], [name=label]") ? 250 : 0);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  filter();
});

// --- asking about a stream, without leaving the page ---

find("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, value } = event.submitter;
  const row = event.submitter.closest("tr");
  row?.setAttribute("aria-busy", "true");
  await refresh(true, new URLSearchParams({ [name]: value }));
  row?.removeAttribute("aria-busy");
  const said = [...document.querySelectorAll("#asked p:not(.acts)")].map((one) => one.innerText);
  if (said.length) announce(said.join(". "));
});

document.addEventListener("click", (event) => {
  if (event.target.id !== "dismiss") return;
  event.preventDefault();
  history.replaceState(null, "", event.target.href);
  refresh(true);
});

// Browsers that cannot show what is folded, where there is room, unfold it.
const wide = matchMedia("(min-width: 1101px)").matches;
if (wide && !CSS.supports("selector(::details-content)"))
  for (const one of document.querySelectorAll(".fold")) one.open = true;

localise(document);
find("live").hidden = false;
if (!document.hidden) {
  listen();
  plan();
}
