// Intel ISA-L: CRC32C (crc32_iscsi) and the CRC-32 of zip members (crc32_gzip_refl).
#include <stdint.h>
#include <isa-l/crc.h>
