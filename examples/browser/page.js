// Creates Subscriptions, binds them all on one websocket, and shows every ping.
// Spec: https://hl7.org/fhir/R4/subscription.html#websocket
"use strict";

const BASE = "fhir";
const WEBSOCKET = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket";
const LONGEST_PAUSE_MS = 30000;

const subscriptions = new Map();  // id -> {criteria, state, pings, pingedAt, row}
let socket = null;
let attempt = 0, comingBack = 0;

const element = id => document.getElementById(id);

async function fhir(method, path, resource) {
  const answer = await fetch(`${BASE}/${path}`, {
    method, headers: {"Content-Type": "application/fhir+json"}, body: resource && JSON.stringify(resource)});
  const body = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw new Error(body.issue.map(issue => issue.diagnostics).join("; "));
  return body;
}

// The socket

async function connect() {
  clearTimeout(comingBack);
  const statement = await fhir("GET", "metadata");
  const url = statement.rest[0].extension.find(extension => extension.url === WEBSOCKET).valueUri;
  socket = new WebSocket(url);
  socket.onopen = () => { shown("open"); for (const id of subscriptions.keys()) say(`bind ${id}`); };
  socket.onmessage = event => hear(event.data);
  socket.onclose = comeBack;
}

function comeBack() {
  shown("closed");
  for (const subscription of subscriptions.values()) subscription.state = "not bound";
  draw();
  if (!subscriptions.size) return;
  // The whole pause is random, so that the clients of a restarted server do not come back all at once.
  const pause = Math.random() * Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** attempt++);
  comingBack = setTimeout(() => connect().catch(comeBack), pause);
}

function say(text) {
  log(`> ${text}`);
  socket.send(text);
}

function hear(text) {
  log(`< ${text}`);
  const [, word, id] = /^(bound|ping|error(?: bind)?) ([^:]*)/.exec(text) || [];
  const subscription = subscriptions.get(id);
  if (!subscription) return;
  if (word === "bound") { subscription.state = "bound"; attempt = 0; }
  if (word === "ping") { subscription.pings++; subscription.pingedAt = new Date(); }
  if (word.startsWith("error")) subscription.state = "off";
  draw();
  if (word === "ping") flash(subscription.row);
  if (word.startsWith("error")) forget(id);
}

// What the buttons do

async function subscribe(criteria) {
  const made = await fhir("POST", "Subscription", {
    resourceType: "Subscription", status: "requested", reason: "to see it in the browser",
    criteria, channel: {type: "websocket"}});
  add(made.id, criteria);
  if (socket && socket.readyState === WebSocket.OPEN) say(`bind ${made.id}`);
  else if (!socket || socket.readyState === WebSocket.CLOSED) await connect();
}

async function unsubscribe(id, row) {
  await fhir("DELETE", `Subscription/${id}`);
  forget(id);
  row.remove();
}

function write() {
  return fhir("POST", "Observation", {
    resourceType: "Observation", status: "final", code: {coding: [{system: "http://loinc.org", code: "72166-2"}]}});
}

// What is shown, and kept for the next visit

function add(id, criteria) {
  const row = document.createElement("tr");
  row.append(...[criteria, id, "", "0", "–", ""].map(text => Object.assign(document.createElement("td"), {textContent: text})));
  row.cells[3].className = "number";
  row.cells[5].append(Object.assign(document.createElement("button"), {
    textContent: "Delete", className: "plain", onclick: () => tried(unsubscribe(id, row))}));
  element("subscriptions").append(row);
  subscriptions.set(id, {criteria, state: "not bound", pings: 0, row});
  keep();
  draw();
}

function forget(id) {
  subscriptions.delete(id);
  keep();
}

function draw() {
  for (const {state, pings, pingedAt, row} of subscriptions.values()) {
    row.cells[2].textContent = state;
    row.cells[3].textContent = pings;
    row.cells[4].textContent = pingedAt ? pingedAt.toLocaleTimeString() : "–";
  }
}

function keep() {
  localStorage.subscriptions = JSON.stringify([...subscriptions].map(([id, {criteria}]) => [id, criteria]));
}

function shown(state) {
  element("state").textContent = element("state").className = state;
}

function flash(row) {
  row.classList.remove("pinged");
  void row.offsetWidth;  // restarts the animation
  row.classList.add("pinged");
}

function log(text) {
  element("log").append(`${new Date().toLocaleTimeString()} ${text}\n`);
  element("log").scrollTop = element("log").scrollHeight;
}

async function tried(promise) {
  element("problem").textContent = "";
  try { await promise; } catch (error) { element("problem").textContent = error.message; }
}

element("subscribe").onsubmit = event => { event.preventDefault(); tried(subscribe(element("criteria").value)); };
element("write").onclick = () => tried(write());
for (const [id, criteria] of JSON.parse(localStorage.subscriptions || "[]")) add(id, criteria);
if (subscriptions.size) connect().catch(comeBack);
