/** Passkeys: what the browser and its authenticator do (WebAuthn), in the words of auth. */

import { Problem } from "./problems.js";

const known = globalThis.PublicKeyCredential;

/** Whether this browser can, at this address: never at one in numbers (WebAuthn §5.1.3). */
export const available =
  Boolean(known?.parseCreationOptionsFromJSON && known.parseRequestOptionsFromJSON) &&
  !/^[\d.]+$|:/.test(location.hostname);

/**
 * Has a passkey made.
 *
 * @param {{publicKey: any}} options  of `POST /auth/yo/passkeys/opciones`
 * @throws {Problem} `passkey-cancelada`, `passkey-repetida`, `passkey-imposible`
 */
export async function create({ publicKey }) {
  const { id, response } = await asked(() =>
    navigator.credentials.create({ publicKey: known.parseCreationOptionsFromJSON(publicKey) }),
  );
  return { id, client_data_json: response.clientDataJSON, attestation_object: response.attestationObject };
}

/**
 * Has the person choose one of theirs.
 *
 * @param {{publicKey: any}} options  of `POST /auth/sesion/passkey/opciones`
 * @throws {Problem} `passkey-cancelada`, `passkey-imposible`
 */
export async function use({ publicKey }) {
  const { id, response } = await asked(() =>
    navigator.credentials.get({ publicKey: known.parseRequestOptionsFromJSON(publicKey) }),
  );
  return {
    id,
    client_data_json: response.clientDataJSON,
    authenticator_data: response.authenticatorData,
    signature: response.signature,
    user_handle: response.userHandle,
  };
}

const SLUGS = { NotAllowedError: "passkey-cancelada", InvalidStateError: "passkey-repetida" };

/** Bytes come as base64url. */
async function asked(ask) {
  try {
    return (await ask()).toJSON();
  } catch (error) {
    throw new Problem({ slug: SLUGS[error.name] ?? "passkey-imposible", detail: error.message });
  }
}
