// Keeps the page fresh: fetches itself and changes only what differs, so that focus, selection and scrolling stay.
"use strict";

const POLL = 5000; // where nobody tells of changes
const SLOW_POLL = 15000; // where /api/v1/events does: for what is no change of state
const SHARE = 10; // a refresh that takes long is followed by a rest this many times as long
const SETTLE = 500; // milliseconds in which changes that come together become one refresh

const find = (id) => document.getElementById(id);
const form = find("filter");
let paused = false;
let told = false; // whether the server tells of changes
let events = null;
let timer = 0;
let fetching = null;
let changed = false; // a change was told, and its refresh is on the way

async function refresh(asked = false) {
  clearTimeout(timer);
  changed = false;
  fetching?.abort();
  const mine = (fetching = new AbortController());
  const started = performance.now();
  const limit = setTimeout(() => mine.abort(), 20000);
  try {
    const reply = await fetch(location.pathname + location.search, { signal: mine.signal, cache: "no-store" });
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
      if (!changed) plan(Math.max(told ? SLOW_POLL : POLL, SHARE * (performance.now() - started)));
    }
  }
}

function plan(wait = told ? SLOW_POLL : POLL) {
  clearTimeout(timer);
  if (!paused && !document.hidden) timer = setTimeout(() => refresh(), wait);
}

function show(page) {
  const script = (one) => one.querySelector("script[src]").getAttribute("src");
  if (script(page) !== script(document)) return location.reload(); // the exporter was upgraded
  const before = document.querySelector("h1").textContent;
  for (const part of page.querySelectorAll("[data-live]")) {
    const old = find(part.id);
    if (old) morph(old, part);
  }
  const now = document.querySelector("h1").textContent;
  if (now !== before) find("announce").textContent = now;
  document.title = page.title;
  find("favicon").href = page.getElementById("favicon").getAttribute("href");
  if (paused) pausedSince();
  else say("Up to date", "");
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
  if (kind === "stale") find("announce").textContent = text;
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
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
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
  for (const name of ["message", "change"]) events.addEventListener(name, hurry);
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
    const usual = name === "limit" && value === form.dataset.rows;
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

find("live").hidden = false;
if (!document.hidden) {
  listen();
  plan();
}
