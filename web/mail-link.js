// Where the links in mails lead (`/restablecer#token=…`): on to the client's page of that name. What stands behind the
// hash is sent to no server.
(() => {
  const page = location.pathname.split("/").filter(Boolean).at(-1);
  const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  location.replace(`../#/${page}?${new URLSearchParams({ token })}`);
})();
