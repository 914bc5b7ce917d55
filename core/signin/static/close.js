"use strict";
// The client has what it waited for, or knows why not. A window that the client did not open stays, and says so.
window.close();
