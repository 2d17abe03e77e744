// The HTTP server: one thread of libmicrohttpd, its bounds, the token, and the way to the routes.
#ifndef API_HTTP_H
#define API_HTTP_H

#include "api/view.h"

enum {
    HTTP_CONNECTIONS_MAX = 64,     // one more makes another one go (api/places.h)
    HTTP_CONNECTIONS_LEAVING = 16, // that were told to go and are not closed yet
    HTTP_BACKLOG = 1024,           // that the kernel holds for us
    HTTP_CONNECTION_BYTES =
        64 * 1024,               // memory of one connection; MHD answers 431 by itself past it
    HTTP_HEADER_MAX = 16 * 1024, // request line and header fields; more: 431
    HTTP_BODY_MAX = 4096,        // of a request, read and passed over; more: 413
    HTTP_IDLE_S = 10,
    HTTP_REST_MS = 100,  // without a descriptor for the next connection
    HTTP_SAY_MS = 10000, // it is said so often
    HTTP_TOKEN_MAX = 4096,
};

#endif
