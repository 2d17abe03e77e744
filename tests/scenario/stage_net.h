// Places as the tests name them.
#ifndef TESTS_STAGE_NET_H
#define TESTS_STAGE_NET_H

#include "core/event.h"

// "udp:127.0.0.1:5070".
struct hop net_place(const char *place);

#endif
