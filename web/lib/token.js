/**
 * The access token: in memory only, renewed with the cookie that no script can read.
 *
 * All tabs share one session. Whoever renews tells the others, and a lock lets only one renew at a time.
 */

import { Problem, problemOf, unanswered } from "./problems.js";

const RENEW = "/auth/sesion/renovar";
const MARGIN_MS = 10_000;
const TIMEOUT_MS = 15_000;
const LOCK = "comanda-renovar";

let access = null; // { token, until }: until in the time of performance.now(), which no clock change moves
let renewing = null;
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
    try {
      return await this.renew();
    } catch (problem) {
      if (problem.status !== 401) throw problem;
      await lost(problem);
      return access?.token ?? null;
    }
  },

  /** Asks for a new one; who asks meanwhile gets the same. */
  renew() {
    renewing ??= exclusive(renewOnce.bind(null, access?.token)).finally(() => {
      renewing = null;
    });
    return renewing;
  },

  /** Takes what a log-in or a renewal answered. @param {{access_token: string, expires_in: number}} answer */
  accept(answer) {
    remember(answer);
    channel?.postMessage({ answer });
  },

  /** The session is over, in all tabs. */
  forget() {
    access = null;
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
    return access && JSON.parse(new TextDecoder().decode(bytes(access.token.split(".")[1])));
  },
};

channel?.addEventListener("message", ({ data: { answer } }) => {
  if (answer) remember(answer);
  else access = null;
  for (const callback of heard) callback(token.claims);
});

async function renewOnce(seen) {
  if (access && access.token !== seen) return access.token; // another tab was faster
  const response = await fetch(RENEW, { method: "POST", signal: AbortSignal.timeout(TIMEOUT_MS) }).catch((error) => {
    throw unanswered(error);
  });
  if (!response.ok) throw await problemOf(response);
  token.accept(await response.json());
  return access.token;
}

function remember({ access_token, expires_in }) {
  access = { token: access_token, until: performance.now() + expires_in * 1000 };
}

/** Alone among all tabs; where the browser knows no locks (plain http on another host) the service's grace helps. */
function exclusive(work) {
  return navigator.locks ? navigator.locks.request(LOCK, work) : work();
}

function bytes(base64url) {
  return Uint8Array.from(atob(base64url.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}
