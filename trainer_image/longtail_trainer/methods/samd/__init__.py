"""SAMD: sub-models of many scenarios, distilled from one general model as the scenarios' resemblance tells."""
