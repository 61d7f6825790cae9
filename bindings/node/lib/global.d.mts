import "./global.cjs";
