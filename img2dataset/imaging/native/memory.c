#include "memory.h"

#include <stdlib.h>

void *owned(decoder *all, size_t bytes) {
    if (all->owned_count == (int)(sizeof all->owned / sizeof *all->owned)) return NULL;
    void *made = NULL;
    if (posix_memalign(&made, 64, bytes + 64)) return NULL;
    return all->owned[all->owned_count++] = made;
}

void give_back(decoder *all) {
    while (all->owned_count) free(all->owned[--all->owned_count]);
}
