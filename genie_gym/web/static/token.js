// The token of the page, if it wants one: taken from the address, or asked for.

const FORM = `
  <form method="dialog">
    <h2>This page wants a token</h2>
    <p><code>genie-gym</code> printed it when it started.</p>
    <input id="token-given" type="password" autocomplete="off" aria-label="Token" required>
    <p id="token-wrong" class="wrong" hidden>That is not the token.</p>
    <button>Open</button>
  </form>`;

// The first request of a page: its answer, once the token is known.
export async function openApi(path) {
  await useTokenOfAddress();
  const answer = await fetch(path);
  if (answer.status !== 401) return answer;
  await askForToken();
  return fetch(path);
}

async function logIn(token) {
  const answer = await fetch("/api/token", { method: "POST", body: JSON.stringify({ token }) });
  return answer.ok;
}

// A token in the address is used and taken out of it, so that it is in no link that is passed on.
async function useTokenOfAddress() {
  const asked = new URLSearchParams(location.search), token = asked.get("token");
  if (!token) return;
  await logIn(token);
  history.replaceState(null, "", location.pathname + location.hash);
}

async function askForToken() {
  const dialog = document.createElement("dialog");
  dialog.innerHTML = FORM;
  document.body.append(dialog);
  dialog.showModal();
  await new Promise((opened) => {
    dialog.querySelector("form").onsubmit = async (event) => {
      event.preventDefault();
      if (await logIn(dialog.querySelector("input").value)) opened();
      else dialog.querySelector(".wrong").hidden = false;
    };
    dialog.oncancel = (event) => event.preventDefault();
  });
  dialog.remove();
}
