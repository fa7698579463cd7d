/** Calls to the services: who one is, time limits, and errors as `Problem`. */

import { learn } from "./clock.js";
import { Problem, problemOf, unanswered } from "./problems.js";
import { token } from "./token.js";

const TIMEOUT_MS = 15_000;

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {any} body       parsed JSON, null if there is none
 * @property {string|null} etag
 * @property {Headers} headers
 */

/**
 * One call, as the person who is logged in.
 *
 * A 401 renews the access token and tries once more; if the session is over, it waits for the person to log in again.
 *
 * @param {string} method
 * @param {string} path  from the root, without the query
 * @param {object} [options]
 * @param {Record<string, any>} [options.query]  what is null, undefined or "" is left out
 * @param {any} [options.body]  sent as JSON
 * @param {Record<string, string>} [options.headers]
 * @param {AbortSignal} [options.signal]
 * @param {number} [options.timeout]  milliseconds
 * @param {boolean} [options.anonymous]  without a token
 * @returns {Promise<Answer>}
 * @throws {Problem} for every answer that is no success, and for none
 * @throws {DOMException} AbortError when `signal` says so
 * @throws {Problem} `sesion-terminada` when the person logs out meanwhile
 */
export async function request(method, path, options = {}) {
  if (options.anonymous) return send(method, path, options, null);
  return asHolder(options.signal, (bearer, signal) => send(method, path, { ...options, signal }, bearer));
}

export const get = async (path, query, options) => (await request("GET", path, { query, ...options })).body;
export const post = async (path, body, options) => (await request("POST", path, { body, ...options })).body;
export const patch = async (path, body, options) => (await request("PATCH", path, { body, ...options })).body;
export const remove = async (path, options) => (await request("DELETE", path, options)).body;

/**
 * A response that is still arriving, for streams and downloads. Only its beginning has a time limit; otherwise as
 * `request`.
 *
 * @returns {Promise<Response>}
 */
export async function open(path, { headers, query, signal } = {}) {
  return asHolder(signal, async (bearer, stop) => {
    const late = new AbortController();
    const limit = setTimeout(() => late.abort(new DOMException("late", "TimeoutError")), TIMEOUT_MS);
    const all = { headers: withToken(headers, bearer), signal: AbortSignal.any([stop, late.signal]) };
    const response = await answered(fetch(address(path, query), all), stop).finally(() => clearTimeout(limit));
    if (!response.ok) throw await problemOf(response);
    return response;
  });
}

/** Asks with a token, and with another one if that is refused; as one and the same person, or not at all. */
async function asHolder(signal, ask) {
  const { held } = token;
  const stop = signal ? AbortSignal.any([signal, held]) : held;
  const used = await token.current();
  stop.throwIfAborted();
  try {
    return await ask(used, stop);
  } catch (problem) {
    if (stop.aborted || problem.status !== 401) throw problem;
    const other = await token.after(used);
    stop.throwIfAborted();
    return ask(other, stop);
  }
}

/** @returns {Promise<Answer>} */
async function send(method, path, { query, body, headers, signal, timeout = TIMEOUT_MS }, bearer) {
  const limit = AbortSignal.timeout(timeout);
  const all = { Accept: "application/json", ...withToken(headers, bearer) };
  if (body !== undefined) all["Content-Type"] ??= "application/json";
  const response = await answered(
    fetch(address(path, query), {
      method,
      headers: all,
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      credentials: "same-origin",
    }),
    signal,
  );
  learn(response.headers);
  if (!response.ok) throw await problemOf(response);
  const text = await answered(response.text(), signal);
  return {
    status: response.status,
    body: text ? parsed(text) : null,
    etag: response.headers.get("ETag"),
    headers: response.headers,
  };
}

/** The answer is not one of ours: a page of the network's, say. What became of the request is unknown. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem({ slug: "respuesta-invalida" });
  }
}

/** What a fetch gives, its failures as `Problem`; being told to stop is none. */
async function answered(promise, signal) {
  try {
    return await promise;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw unanswered(error);
  }
}

function withToken(headers, bearer) {
  return bearer ? { ...headers, Authorization: `Bearer ${bearer}` } : { ...headers };
}

function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}
