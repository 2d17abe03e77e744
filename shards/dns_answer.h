// One DNS response taken apart: what it says to the question that was asked.
//
// Pure: bytes in, records out. Any thread. Names are in lower case and without their last dot; the
// root is "".
#ifndef SHARDS_DNS_ANSWER_H
#define SHARDS_DNS_ANSWER_H

#include "core/wire/text.h"

enum dns_type {
    DNS_A = 1,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_NAPTR = 35,
};

enum {
    DNS_NAME_MAX = 253,   // characters, RFC 1035 §2.3.4 less length octets at both ends
    DNS_RECORDS_MAX = 64, // of one answer; more are not looked at
    DNS_CNAMES_MAX = 8,   // from the name that was asked to the one that has the records
    DNS_SERVICE_MAX = 31, // characters of NAPTR's services; a longer one is none that we know
    DNS_TTL_MAX_S = 86400,
    // Of "no such record" by a server that does not say how long that holds (RFC 2308 §5), and the
    // most that one may say (§7.1 has one to three hours).
    DNS_NEGATIVE_TTL_S = 60,
    DNS_NEGATIVE_TTL_MAX_S = 10800,
    // Of an answer that was none: time-outs, SERVFAIL, garbage.
    DNS_FAILED_TTL_S = 10,
};

struct dns_record {
    uint8_t ip[16]; // A: the first four
    uint16_t priority, weight, port;
    uint16_t order, preference;
    bool leads_to_srv;                 // NAPTR: the flag is "s", there is no regular expression
    char service[DNS_SERVICE_MAX + 1]; // NAPTR, in lower case
    char name[DNS_NAME_MAX + 1];       // SRV: target; NAPTR: replacement
};

enum dns_outcome {
    DNS_FOUND,  // there are such records, even if none of them can be used
    DNS_NONE,   // there are none, for sure
    DNS_FAILED, // nobody knows
};

struct dns_answer {
    enum dns_outcome outcome;
    uint32_t ttl_s; // the least of all records that it rests on
    size_t n;
    struct dns_record record[DNS_RECORDS_MAX];
};

// `message` answers a question for `name`, which is as described above. What is malformed has
// failed.
void dns_answer_parse(struct dns_answer *out, struct text message, const char *name,
                      enum dns_type type);
void dns_answer_fail(struct dns_answer *out);
void dns_answer_none(struct dns_answer *out);

// Letters, digits, hyphens and underscores in labels of at most 63: what we ask for, and what we
// let a server send us to. Written to `out` in the form described above. False: none such.
bool dns_name_from(char out[DNS_NAME_MAX + 1], struct text t);

#endif
