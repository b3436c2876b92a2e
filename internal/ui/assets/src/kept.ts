// The islands. Each enriches what the server has drawn and gives it back
// unharmed when its element is removed.
import "./htmx";
import "./arrange-island";
import "./chart-island";
import "./copy";
import "./dialog";
import "./filters";
import "./form-errors";
import "./json-island";
import "./live";
import "./menu";
import "./moment";
import "./panel";
import "./passkey";
import "./password";
import "./promql-island";
import "./range";
import "./row-keys";
import "./theme-switch";
import "./time-island";
import "./timeline";
import "./toast";
