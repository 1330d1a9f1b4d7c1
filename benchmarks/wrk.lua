-- Posts the file that BODY names, counts answers other than a 200 with a class, and prints the results as JSON.
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args)
  wrong = 0
  local file = io.open(os.getenv("BODY"), "rb")
  wrk.method, wrk.body = "POST", file:read("*a")
  wrk.headers["Content-Type"] = "multipart/form-data; boundary=boundary"
  file:close()
end
function response(status, headers, body)
  if status ~= 200 or not body:find("predicted_class", 1, true) then wrong = wrong + 1 end
end
function done(summary, latency, requests)
  local wrong = 0
  for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '\n{"requests": %d, "seconds": %f, "p50": %f, "p95": %f, "p99": %f, "max": %f, "errors": %d}\n',
    summary.requests - wrong, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(95) / 1e6,
    latency:percentile(99) / 1e6, latency.max / 1e6, wrong + lost))
end
