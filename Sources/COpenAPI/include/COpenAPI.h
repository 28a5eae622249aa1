// The bytes of openapi.yaml.
#pragma once

extern const unsigned char openapi_document[];
extern const unsigned long openapi_document_byte_count;

static inline const unsigned char *openapi_document_start(void) { return openapi_document; }
