// Asks for what the first view needs, and then runs what draws it: once, with the answers, when they are there soon.
import "./style.css";
import "./lib/theme";

import { client } from "./lib/client";
import { askFirst } from "./lib/first";

/** What draws can't be loaded: said in words, with a way on, and not by a white page. */
function missing(page: HTMLElement): void {
  const said = document.createElement("p");
  said.setAttribute("role", "alert");
  said.className = "p-8";
  said.textContent = "The page can’t be loaded: the service does not answer. ";
  const again = document.createElement("button");
  again.type = "button";
  again.className = "text-blue hover:underline";
  again.textContent = "Retry";
  again.onclick = () => location.reload();
  said.append(again);
  page.replaceChildren(said);
}

/** When what was asked for is not there after so long, the page is drawn without it. */
const WAITS_MS = 150;

const page = document.getElementById("page");
if (page) {
  const { asked, answered } = askFirst(client);
  const late = new Promise((done) => setTimeout(done, WAITS_MS));
  // It is loaded meanwhile, and would keep the browser from hearing the list.
  const drawing = Promise.race([asked, late]).then(() => import("./page"));
  Promise.all([drawing, Promise.race([answered, late])]).then(
    ([{ show }]) => show(page),
    () => missing(page),
  );
}
