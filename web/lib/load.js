/** Hooks that read from the services: one answer, or a list by pages. What is asked anew ends what was asked before. */

import { get } from "./api.js";
import { now } from "./clock.js";
import { useEffect, useRef, useState } from "./html.js";

/**
 * One answer.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} read
 * @param {any[]} inputs  when one changes, it is read again
 * @returns {{data: T | null, problem: import("./problems.js").Problem | null, loading: boolean,
 *   reload: () => Promise<void>, change: (change: (data: T) => T) => void}}  the last data stay while it is read again;
 *   what `change` does must be harmless when it is done twice
 */
export function useLoad(read, inputs) {
  const [state, setState] = useState({ data: null, problem: null, loading: true });
  const running = useRef(null);
  const meanwhile = useMeanwhile();

  const reload = async () => {
    running.current?.abort();
    const { signal } = (running.current = new AbortController());
    meanwhile.begin();
    setState((before) => ({ ...before, loading: true }));
    try {
      const data = await read(signal);
      if (!signal.aborted) setState({ data: meanwhile.applied(data), problem: null, loading: false });
    } catch (problem) {
      if (!signal.aborted) setState((before) => ({ ...before, problem, loading: false }));
    }
  };

  useEffect(() => {
    setState({ data: null, problem: null, loading: true });
    reload();
    return () => running.current?.abort();
  }, inputs);

  const change = (change) => {
    meanwhile.add(change);
    setState((before) => ({ ...before, data: before.data && change(before.data) }));
  };
  return { ...state, reload, change };
}

const NOTHING_YET = { items: null, next: null, problem: null, loading: true };

/**
 * A list with keyset pagination, which grows by `more`.
 *
 * @param {string} path
 * @param {Record<string, any>} query  when it changes, the list begins anew
 * @param {(items: any[], signal: AbortSignal) => Promise<void>} [enrich]  adds to each page before it is shown
 * @returns {{items: any[] | null, problem: any, loading: boolean, hasMore: boolean, more: () => void,
 *   reload: () => Promise<void>, change: (change: (items: any[]) => any[]) => void}}  items null: nothing was read
 *   yet; `reload` reads as many pages as are shown
 */
export function usePages(path, query, enrich) {
  const [state, setState] = useState(NOTHING_YET);
  const running = useRef(null);
  const wanted = useRef(0); // items at least
  const meanwhile = useMeanwhile();

  const read = async (cursor, before) => {
    running.current?.abort();
    const { signal } = (running.current = new AbortController());
    meanwhile.begin();
    setState((state) => ({ ...state, loading: true }));
    try {
      const items = [...before];
      let next = cursor;
      do {
        const page = await get(path, { ...query, cursor: next }, { signal });
        await enrich?.(page.elementos, signal);
        items.push(...page.elementos);
        next = page.siguiente;
      } while (next !== null && items.length < wanted.current);
      if (signal.aborted) return;
      setState({ items: meanwhile.applied(items), next, problem: null, loading: false });
    } catch (problem) {
      if (!signal.aborted) setState((state) => ({ ...state, problem, loading: false }));
    }
  };

  useEffect(() => {
    setState(NOTHING_YET);
    wanted.current = 0;
    read(null, []);
    return () => running.current?.abort();
  }, [path, JSON.stringify(query)]);

  return {
    ...state,
    hasMore: state.next !== null,
    more: () => {
      wanted.current = state.items.length + 1; // also if it is all read anew before these have come
      return read(state.next, state.items);
    },
    reload: () => read(null, []),
    change: (change) => {
      meanwhile.add(change);
      setState((before) => ({ ...before, items: before.items && change(before.items) }));
    },
  };
}

/** What was changed since a reading began, which may have read what was there before: changed again when it ends. */
function useMeanwhile() {
  const changes = useRef([]);
  return {
    begin: () => (changes.current = []),
    add: (change) => changes.current.push(change),
    applied: (data) => changes.current.splice(0).reduce((data, change) => change(data), data),
  };
}

/** A value that follows another once that has rested, for searching while somebody types. */
export function useRested(value, milliseconds = 200) {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(setRested, milliseconds, value);
    return () => clearTimeout(timer);
  }, [value]);
  return rested;
}

/** The services' time, in milliseconds since 1970, every so often; not while `running` is false. */
export function useNow(running = true, every = 1000) {
  const [time, setTime] = useState(now());
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => setTime(now()), every);
    return () => clearInterval(timer);
  }, [running, every]);
  return time;
}
