// Memory for the core and its codecs, and whether all that was asked for was given.
#include "core/wire/memory.h"

_Thread_local bool memory_refused;
