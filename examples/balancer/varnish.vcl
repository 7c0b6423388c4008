# A cache and load balancer in front of the nodes of a pool: Varnish 6 or later. Final results
# are answered from its memory, also while nodes restart. Check the file:
# varnishd -C -f varnish.vcl
vcl 4.1;

import directors;
import std;

probe ready {
    .url = "/readyz";
    .interval = 500ms;
    .timeout = 1s;
    .window = 2;
    .threshold = 1;
    .initial = 1;
}

# An event stream sends a comment every 15 s, and a request may wait 60 s for a result.
backend worker1 { .host = "worker1"; .port = "8420"; .probe = ready; .connect_timeout = 1s; .first_byte_timeout = 90s; .between_bytes_timeout = 90s; }
backend worker2 { .host = "worker2"; .port = "8420"; .probe = ready; .connect_timeout = 1s; .first_byte_timeout = 90s; .between_bytes_timeout = 90s; }
backend worker3 { .host = "worker3"; .port = "8420"; .probe = ready; .connect_timeout = 1s; .first_byte_timeout = 90s; .between_bytes_timeout = 90s; }

sub vcl_init {
    new nodes = directors.round_robin();
    nodes.add_backend(worker1);
    nodes.add_backend(worker2);
    nodes.add_backend(worker3);
}

sub vcl_recv {
    set req.backend_hint = nodes.backend();
    # Streams and requests that wait for news are passed through as they come.
    if (req.url ~ "/events(\?|$)" || req.http.Accept ~ "text/event-stream" || req.http.Prefer) {
        return (pass);
    }
    # A node that is not ready answers less. What is in memory may be older then.
    if (std.healthy(req.backend_hint)) {
        set req.grace = 10s;
    }
}

sub vcl_backend_response {
    # Nodes say what may be kept: a result that has succeeded. All else is asked for each time,
    # and nobody waits for the answer to another's request.
    if (beresp.status != 200 || beresp.http.Cache-Control !~ "immutable") {
        set beresp.uncacheable = true;
        set beresp.ttl = 30s;
        return (deliver);
    }
    set beresp.grace = 24h;
}

sub vcl_backend_error {
    # The node went away in this moment. Another one may answer.
    if (bereq.retries < 2 && (bereq.method == "GET" || bereq.method == "HEAD")) {
        return (retry);
    }
}

sub vcl_backend_fetch {
    # A second try goes to another node.
    set bereq.backend = nodes.backend();
}
