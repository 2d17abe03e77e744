// The stored form of one subscription with its dialogs: what must survive kill -9.
//
// A flat little-endian byte string that begins with a version, the direction and the owner's hash,
// so that re-partitioning needs to look no further. Pure.
#ifndef CORE_RECORD_H
#define CORE_RECORD_H

#include "core/wire/text.h"

enum { RECORD_VERSION = 2 }; // all below are read, too

// For re-partitioning: the keyed hash of the XMPP user's bare JID. EBADMSG; ENOTSUP: newer version.
int record_owner_hash(struct text record, uint32_t *hash);

#endif
