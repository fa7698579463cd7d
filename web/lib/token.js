/**
 * The access token: in memory only, renewed with the cookie that no script can read.
 *
 * All tabs share one session. Whoever renews tells the others, and a lock lets only one renew at a time.
 */

import { Problem, problemOf, unanswered } from "./problems.js";

const RENEW = "/auth/sesion/renovar";
const MARGIN_MS = 10_000;
/** Twice that is less than the ten seconds in which auth takes the cookie of before once more: see `renewOnce`. */
const TIMEOUT_MS = 4_000;
/** For other tabs to be done with theirs. */
const TURN_MS = 20_000;
const LOCK = "comanda-renovar";

let access = null; // { token, until }: until in the time of performance.now(), which no clock change moves
let renewing = null;
let holder = new AbortController();
let lost = () => Promise.reject(new Problem({ slug: "sesion-terminada", status: 401 }));
const heard = new Set();
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("comanda-sesion") : null;

export const token = {
  /** One that is good for a few seconds more, or null for a visitor. */
  async current() {
    if (!access) return null;
    return performance.now() < access.until - MARGIN_MS ? access.token : this.after(access.token);
  },

  /**
   * Another one than that, which was refused or is about to expire.
   *
   * @throws {Problem} `sesion-terminada` when the session is over and the person did not log in again
   */
  async after(refused) {
    if (access && access.token !== refused) return access.token;
    const { held } = this;
    try {
      return await this.renew();
    } catch (problem) {
      if (held.aborted || problem.status !== 401) throw problem;
      await lost(problem);
      return access?.token ?? null;
    }
  },

  /** Asks for a new one; who asks meanwhile gets the same. */
  renew() {
    if (renewing) return renewing;
    const mine = (renewing = renewed(access?.token, holder.signal).finally(() => {
      if (renewing === mine) renewing = null;
    }));
    return mine;
  },

  /** Aborts when its holder logs out or is somebody else: nothing that one began is finished as another. */
  get held() {
    return holder.signal;
  },

  /** Takes what a log-in or a renewal answered. @param {{access_token: string, expires_in: number}} answer */
  accept(answer) {
    remember(answer);
    channel?.postMessage({ answer });
  },

  /** The session is over, in all tabs. */
  forget() {
    drop();
    channel?.postMessage({ answer: null });
  },

  /** Who asks the person to log in again; resolves once they have. */
  whenLost(callback) {
    lost = callback;
  },

  /** Calls back with the claims when another tab logged in, or with null when it logged out. */
  onElsewhere(callback) {
    heard.add(callback);
  },

  /** What the token says of its holder, unverified: for showing, never for deciding. */
  get claims() {
    return access && claimsOf(access.token);
  },
};

channel?.addEventListener("message", ({ data: { answer } }) => {
  if (answer) remember(answer);
  else drop();
  for (const callback of heard) callback(token.claims);
});

async function renewed(seen, held) {
  try {
    return await exclusive(() => renewOnce(seen, held), held);
  } catch (error) {
    if (held.aborted) throw held.reason;
    throw error instanceof Problem ? error : unanswered(error);
  }
}

/** The answer may be lost, and with it the next cookie: asked once more, while auth still takes this one. */
async function renewOnce(seen, held) {
  if (access && access.token !== seen) return access.token; // another tab was faster
  const ask = () => fetch(RENEW, { method: "POST", signal: limited(TIMEOUT_MS, held) });
  const response = await ask().catch((error) => (held.aborted ? Promise.reject(error) : ask()));
  if (!response.ok) throw await problemOf(response);
  const answer = await response.json();
  held.throwIfAborted();
  token.accept(answer);
  return access.token;
}

function remember({ access_token, expires_in }) {
  if (access && claimsOf(access.token).sub !== claimsOf(access_token).sub) drop();
  access = { token: access_token, until: performance.now() + expires_in * 1000 };
}

/** Ends what the holder began and has not had an answer to. */
function drop() {
  access = null;
  renewing = null;
  holder.abort(new Problem({ slug: "sesion-terminada", status: 401 }));
  holder = new AbortController();
}

/** Alone among all tabs; where the browser knows no locks (plain http on another host) the service's grace helps. */
function exclusive(work, held) {
  return navigator.locks ? navigator.locks.request(LOCK, { signal: limited(TURN_MS, held) }, work) : work();
}

const limited = (ms, held) => AbortSignal.any([held, AbortSignal.timeout(ms)]);

const claimsOf = (text) => JSON.parse(new TextDecoder().decode(bytes(text.split(".")[1])));

function bytes(base64url) {
  return Uint8Array.from(atob(base64url.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}
