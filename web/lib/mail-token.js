/** The token of a link that was mailed: taken out of the address at once, so that no history keeps it. */

import { useEffect, useState } from "./html.js";
import { go, location } from "./router.js";

/** @param {Record<string, string>} query  of the page @returns {string} "" if there is none */
export function useMailToken(query) {
  const [token] = useState(query.token ?? "");
  useEffect(() => {
    if (query.token) go(location.peek().path, {}, { replace: true });
  }, []);
  return token;
}
