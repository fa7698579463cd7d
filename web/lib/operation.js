/** How the four services are doing, asked of themselves every two seconds while the page is in view. */

import { get } from "./api.js";
import { History, figures } from "./history.js";
import { useEffect, useRef, useState } from "./html.js";

export const SERVICIOS = ["pedidos", "inventario", "productos", "auth"];
const EVERY_MS = 2_000;
const TIMEOUT_MS = 4_000;
/** What plots reach back to. */
export const SECONDS = 300;

/**
 * @param {boolean} paused
 * @returns {{documents: null | Record<string, any>, problems: Record<string, any>, history: History}}  of who
 *   does not answer the document is null, and its problem there; `documents` is null before the first answers
 */
export function useOperation(paused) {
  const history = useRef(null);
  history.current ??= new History(SECONDS);
  const [state, setState] = useState({ documents: null, problems: {} });

  useEffect(() => {
    if (paused) return undefined;
    const stop = new AbortController();
    const look = async () => {
      const answers = await Promise.all(SERVICIOS.map((servicio) => ask(servicio, stop.signal)));
      if (stop.signal.aborted) return;
      const documents = Object.fromEntries(SERVICIOS.map((servicio, at) => [servicio, answers[at].documento]));
      const problems = Object.fromEntries(SERVICIOS.map((servicio, at) => [servicio, answers[at].problem]));
      history.current.push((performance.timeOrigin + performance.now()) / 1000, figures(documents)); // never goes back
      setState({ documents, problems });
    };
    const ended = repeat(look, EVERY_MS, stop.signal);
    return () => {
      stop.abort();
      ended();
      history.current.gap();
    };
  }, [paused]);

  return { ...state, history: history.current };
}

async function ask(servicio, signal) {
  try {
    return { documento: await get(`/operacion/${servicio}`, {}, { signal, timeout: TIMEOUT_MS }), problem: null };
  } catch (problem) {
    return { documento: null, problem };
  }
}

/**
 * Does something now and every so often while the page is in view, never twice at a time.
 *
 * @returns {() => void}  ends it
 */
export function repeat(act, every, signal) {
  let timer = null;
  let busy = false;
  const turn = async () => {
    if (busy || document.hidden) return;
    busy = true;
    const began = performance.now();
    try {
      await act();
    } finally {
      busy = false;
      if (!signal.aborted && !document.hidden)
        timer = setTimeout(turn, Math.max(every - (performance.now() - began), 0));
    }
  };
  const shown = () => {
    clearTimeout(timer);
    turn();
  };
  document.addEventListener("visibilitychange", shown);
  turn();
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", shown);
  };
}
