#include "memory.h"

#include <stdlib.h>

void *owned(decoder *jpeg, size_t bytes) {
    if (jpeg->owned_count == (int)(sizeof jpeg->owned / sizeof *jpeg->owned)) return NULL;
    void *made = NULL;
    if (posix_memalign(&made, 64, bytes + 64)) return NULL;
    return jpeg->owned[jpeg->owned_count++] = made;
}

void free_owned(decoder *jpeg) {
    while (jpeg->owned_count) free(jpeg->owned[--jpeg->owned_count]);
}
