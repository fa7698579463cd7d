/** Listening to the changes of orders for as long as a component is there. */

import { listen } from "./events.js";
import { useEffect, useRef } from "./html.js";

/** @param {(cambio: any) => void} onEvent @param {() => void} refresh  reads again what may have been missed */
export function useChanges(onEvent, refresh) {
  const latest = useRef(null);
  latest.current = { onEvent, refresh };
  useEffect(
    () =>
      listen(
        (cambio) => latest.current.onEvent(cambio),
        () => latest.current.refresh(),
      ),
    [],
  );
}
