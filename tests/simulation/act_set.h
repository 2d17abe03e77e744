// A set of acts, by number: what is left out of a run, as "3,7-12".
#ifndef TESTS_ACT_SET_H
#define TESTS_ACT_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct act_set {
    uint8_t *has; // one for each number below n
    size_t n;
};

bool act_set_has(const struct act_set *s, uint64_t number);
void act_set_add(struct act_set *s, uint64_t number);
// EINVAL: not such a list.
int act_set_parse(struct act_set *s, const char *list);
void act_set_print(const struct act_set *s, FILE *to);
void act_set_free(struct act_set *s);

#endif
