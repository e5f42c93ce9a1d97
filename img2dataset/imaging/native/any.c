/* For every processor. */
#include "decoder.h"
#include "interface.h"

int shrink_any(const jpeg_request *asked) { return (int)shrink(asked); }
