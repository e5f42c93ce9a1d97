/* Memory that is freed when the image is done. */
#ifndef SHRINK_MEMORY_H
#define SHRINK_MEMORY_H

#include <stddef.h>

#include "types.h"

/* Room for ``bytes``, and 64 more that may be read, on a boundary of 64; NULL where there is none. */
void *owned(decoder *jpeg, size_t bytes);

void free_owned(decoder *jpeg);

#endif
