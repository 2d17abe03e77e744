// What a seed decides about its world before anything happens in it.
#ifndef TESTS_OPTIONS_H
#define TESTS_OPTIONS_H

#include "world.h"

// `users` on each side, or as drawn (0).
void options_draw(struct world *w, unsigned users);
void options_print(const struct options *o, FILE *to);

#endif
