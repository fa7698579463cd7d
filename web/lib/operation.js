/** How the four services are doing, asked of themselves every two seconds while the page is in view. */

import { get } from "./api.js";
import { History, figures } from "./history.js";
import { useEffect, useRef, useState } from "./html.js";

export const SERVICIOS = ["pedidos", "inventario", "productos", "auth"];
const EVERY_MS = 2_000;
const TIMEOUT_MS = 4_000;
/** Between two looks, also if somebody does not answer; longer apart, nobody looked. */
const LONGEST_SECONDS = 6;
/** What plots reach back to. */
export const SECONDS = 300;

/**
 * @param {boolean} paused
 * @returns {{documents: null | Record<string, any>, problems: Record<string, any>, history: History}}  of who
 *   does not answer the document is null, and its problem there; `documents` is null before the first answers
 */
export function useOperation(paused) {
  const history = useRef(null);
  history.current ??= new History(SECONDS, LONGEST_SECONDS);
  const [state, setState] = useState({ documents: null, problems: {} });

  useEffect(() => {
    if (paused) return undefined;
    const stop = new AbortController();
    const look = async () => {
      const asked = SERVICIOS.map(async (servicio) => {
        const answer = await ask(servicio, stop.signal);
        // Nobody waits to be drawn for whoever does not answer, but for the first time.
        if (!stop.signal.aborted) setState((before) => (before.documents ? after(before, servicio, answer) : before));
        return [servicio, answer];
      });
      const answers = await Promise.all(asked);
      if (stop.signal.aborted) return;
      const state = answers.reduce((before, [servicio, answer]) => after(before, servicio, answer), {});
      const time = (performance.timeOrigin + performance.now()) / 1000; // never goes back
      history.current.push(time, figures(state.documents));
      setState(state);
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

/** What is known once that service has answered, too. */
const after = ({ documents, problems }, servicio, { documento, problem }) => ({
  documents: { ...documents, [servicio]: documento },
  problems: { ...problems, [servicio]: problem },
});

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
