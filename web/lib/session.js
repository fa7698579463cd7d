/** Who is using the client: a visitor, or a person with an account; and how one becomes the other. */

import { get, request } from "./api.js";
import { computed, signal } from "./html.js";
import { Problem } from "./problems.js";
import { keep, recall } from "./storage.js";
import { token } from "./token.js";

/** Kept between visits so that a visitor's browser need not ask for a session that it never had. */
const HINT = "sesion";

/** @type {import("../vendor/signals.js").Signal<null | {id: string, email: string, nombre: string, rol: string,
 *   email_verificado: boolean}>} */
export const usuario = signal(null);
export const esAdmin = computed(() => usuario.value?.rol === "admin");
/** The scopes of the present token; an admin without a second factor may have fewer than the role gives. */
export const alcance = signal([]);
/** Whether the session ended in mid-use and the person is being asked to log in again. */
export const caducada = signal(false);

/** Why the session of an earlier visit could not be taken up yet; null if it was, or there is none. */
export const demora = signal(null);

let again = null; // { promise, resolve, reject } while `caducada`

/** Takes up the session of an earlier visit, if there is one. Without auth that has to wait: see `demora`. */
export async function start() {
  token.whenLost(askAgain);
  token.onElsewhere(follow);
  if (recall(HINT)) await resume();
}

/** Tries again what `start` could not. */
export async function resume() {
  demora.value = null;
  try {
    await token.renew();
    await identify();
  } catch (problem) {
    if (problem.status === 401) keep(HINT, null);
    else demora.value = problem;
  }
}

/**
 * Logs in.
 *
 * @param {{email: string, password: string} | {mfa_token: string, codigo: string}
 *   | {mfa_token: string, codigo_de_recuperacion: string}} datos
 * @throws {Problem} `segundo-factor-requerido` with `extras.mfa_token`, `credenciales-incorrectas`, …
 */
export const entrar = (datos) => begin("/auth/sesion", datos);

/** Logs in with what `passkeys.use` gave. */
export const entrarConPasskey = (credencial) => begin("/auth/sesion/passkey", { credencial });

async function begin(path, datos) {
  const { body } = await request("POST", path, { body: datos, anonymous: true });
  token.accept(body);
  keep(HINT, true);
  demora.value = null;
  await identify();
  settle("resolve");
}

/** Logs out, here and in the other tabs, at once: the person is out even if auth cannot be told. */
export async function salir() {
  olvidar();
  await request("DELETE", "/auth/sesion", { anonymous: true });
}

/** The session is over and is not to be asked for again. */
export function olvidar() {
  token.forget();
  keep(HINT, null);
  becomeVisitor();
}

/** Reads the account again, after it was changed. */
export async function identify() {
  alcance.value = token.claims.scope.split(" ");
  usuario.value = await get("/auth/yo");
}

function becomeVisitor() {
  alcance.value = [];
  usuario.value = null;
  settle("reject", new Problem({ slug: "sesion-terminada", status: 401 }));
}

/** Everybody who needs a token waits for the same log-in. */
function askAgain(problem) {
  if (!usuario.value) return Promise.reject(problem);
  again ??= deferred();
  caducada.value = true;
  return again.promise;
}

function settle(how, value) {
  again?.[how](value);
  again = null;
  caducada.value = false;
}

/** Another tab logged in, renewed or logged out. */
async function follow(claims) {
  if (!claims) return becomeVisitor();
  if (claims.sub === usuario.value?.id) {
    alcance.value = claims.scope.split(" ");
    return settle("resolve");
  }
  becomeVisitor(); // nothing that somebody else began goes out as this person's
  await identify().catch((problem) => {
    demora.value = problem;
  });
}

function deferred() {
  const result = {};
  result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }));
  return result;
}
